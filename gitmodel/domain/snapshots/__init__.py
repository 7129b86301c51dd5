"""Snapshots, on which changes are planned, and the sources that a snapshot reads."""
