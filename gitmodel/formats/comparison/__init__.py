"""Comparing a value with what was loaded from its file."""
