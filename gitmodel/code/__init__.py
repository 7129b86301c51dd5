"""The code repository: its commits, its work tree, and the commits that versions name."""
