"""Credentials and secrets: recognising them, and keeping them out of records."""
