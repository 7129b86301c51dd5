"""Opening a registry by its settings, from a path or a URL."""
