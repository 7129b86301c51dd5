"""Runs on this machine: the journal, the output of steps, and the results of their cache."""
