"""Signatures of commits and tags: verifying and making them."""
