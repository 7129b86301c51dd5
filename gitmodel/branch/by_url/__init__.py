"""Registries without a clone: at a URL, read through the user's cache and written by pushes, or in a git bundle."""
