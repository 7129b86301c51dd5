"""The values that a step gets and gives: its request, its context with planned changes, and its result."""
