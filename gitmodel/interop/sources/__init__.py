"""The readers of other registries. Each returns the models of a registry as the same plain values."""
