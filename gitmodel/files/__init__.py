"""Files and folders on disk: permissions, temporary folders, the end of the process."""
