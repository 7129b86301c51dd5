"""Models, versions, artifacts and runs as Python objects."""
