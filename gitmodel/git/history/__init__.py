"""Commits and their files: ancestors, merges, notes, tags, and the files that differ between commits."""
