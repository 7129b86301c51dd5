"""The pages about all models of a registry."""
