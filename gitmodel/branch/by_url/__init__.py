"""Registries by URL: reading through the user's cache, pushing each change, and registries in bundles."""
