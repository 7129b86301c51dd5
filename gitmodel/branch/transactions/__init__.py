"""Writing a change: the commit, the refs that move with it, and the tags that stand in its way."""
