"""An active run: the call of its pipeline, the versions and artifacts that it uses, and its record."""
