"""Listing and moving refs: transactions of several refs, and the locks that killed writers left."""
