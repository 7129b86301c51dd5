"""Replaying local commits, record by record, on the remote's branch that has new commits. Pure."""
