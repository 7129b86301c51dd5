"""Repositories: finding, creating and maintaining one, its hooks, and commands to its remotes."""
