"""A git repository as a registry: reading its metadata branch and stage tags, writing changes, remotes, and URLs."""
