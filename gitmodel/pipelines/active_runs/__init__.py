"""A run while it is active: its call, the references that it pinned, and the record of it."""
