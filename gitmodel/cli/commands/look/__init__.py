"""Commands that show the registry as it is."""
