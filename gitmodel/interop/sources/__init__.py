"""Readers of other registries. All readers return models as values of the same types (`source_values`)."""
