"""Credentials and secrets: recognizing them, and keeping them out of records."""
