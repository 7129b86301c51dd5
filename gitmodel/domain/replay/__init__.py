"""Replaying local changes, record by record, on a branch that has new commits. Pure."""
