"""The repository as a registry: snapshots of the metadata branch, its transaction, stage tags, remotes, URLs."""
