"""Writing a change: the commit, the refs that move with it, and the foreign tags that prevent it."""
