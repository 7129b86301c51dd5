"""The formats that there are: built-in and others, and the format of a file."""
