"""Running one step: the executors, loading its inputs, calling it, storing its outputs, and keeping what it prints."""
