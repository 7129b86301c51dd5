"""The rules of the format, by name: invariants of records, rules for their changes, and gates of stages."""
