"""A run of a script without steps, from `Client.start_run` to its commit."""
