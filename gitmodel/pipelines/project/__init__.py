"""The user's project: the code that a step depends on, the loaded modules and the files that they opened."""
