"""git itself: running it, reading and writing its objects, its locks, its signatures. No registry."""
