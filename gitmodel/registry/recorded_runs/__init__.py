"""Runs: their records, their outputs and the output of their steps."""
