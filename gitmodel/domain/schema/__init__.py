"""The format of the registry: names, references, refs, paths, records, and their TOML. Pure."""
