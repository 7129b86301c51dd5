"""Artifact stores: the interface, the store in a folder, stores on servers, and external artifacts. No git."""
