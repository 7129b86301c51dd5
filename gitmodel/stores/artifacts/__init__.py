"""Files and folders as artifacts, in a store of any kind."""
