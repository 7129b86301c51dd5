"""Artifact stores: the interface, the store in a folder, stores on servers, artifacts that stay elsewhere. No git."""
