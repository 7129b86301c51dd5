"""The rules that records and their changes must follow, by name."""
