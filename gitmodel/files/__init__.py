"""Files and folders on disk: permissions, locks, temporary folders, and the errors when a file cannot be written."""
