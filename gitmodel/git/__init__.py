"""git itself: running it, reading and writing its objects, its locks, its signatures. Knows nothing of registries."""
