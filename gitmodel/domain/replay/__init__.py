"""Replaying local changes on a branch that moved on, record by record. Pure."""
