"""The snapshot that a change is planned on, and the sources that it reads."""
