"""Files and folders on disk: permissions, locks, temporary folders, errors of writing, the end of the process."""
