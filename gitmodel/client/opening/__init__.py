"""Opening a registry at a path or URL, which arguments, environment variables or git settings give."""
