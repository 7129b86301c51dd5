"""Registries without a clone: at a URL, read through a cache and written by pushes, and in git bundles."""
