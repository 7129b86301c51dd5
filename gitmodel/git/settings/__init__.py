"""The settings of git, and the author and committer that they name."""
