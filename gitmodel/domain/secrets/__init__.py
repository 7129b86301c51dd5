"""Recognizing credentials and secrets, so that gitmodel keeps them out of records."""
