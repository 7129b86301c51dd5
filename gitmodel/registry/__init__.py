"""One verb per function: takes a repository and a store, returns values, never prints."""
