"""Snapshots of the registry, on which gitmodel plans changes, and the sources from which a snapshot reads."""
