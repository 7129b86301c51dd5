"""Handles: the Python objects for models, versions, artifacts and runs that a client returns."""
