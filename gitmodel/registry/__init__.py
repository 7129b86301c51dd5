"""A function for each command. The functions take a repository and a store, return values, and never print."""
