"""The history of the registry: who changed what and when, and reading past states of the branch."""
