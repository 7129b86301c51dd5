"""The rules of a registry: the record of `gitmodel.toml`, the signers, and the tag of the rules in force. Pure."""
