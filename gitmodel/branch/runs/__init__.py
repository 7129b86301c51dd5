"""Files about runs on this machine: the journal, the output of steps, and the steps that came from the cache."""
