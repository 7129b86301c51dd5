"""Running git: the process, its timeout, and the errors for its failures."""
