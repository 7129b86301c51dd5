"""The changes that verbs make: pure functions from a snapshot to the files and tags to write."""
