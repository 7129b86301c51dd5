"""The available formats, and detection of the format of a file."""
