"""The data of a registry that pages show."""
