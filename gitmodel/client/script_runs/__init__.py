"""A run of a script without steps, from the call of `Client.start_run` to the commit that records the run."""
