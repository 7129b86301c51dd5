"""Commands that set up a registry, this clone and its hooks."""
