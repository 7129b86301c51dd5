"""Files about runs on this machine: the journal, the output of steps, and which steps came from the cache."""
