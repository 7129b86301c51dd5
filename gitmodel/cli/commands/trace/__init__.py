"""Commands about the past: history, lineage, runs, and the code of versions."""
