"""The servers that keep artifacts, one module for each kind."""
