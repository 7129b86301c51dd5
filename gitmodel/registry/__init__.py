"""A function for each command. It takes a repository and a store, returns values, and never prints."""
