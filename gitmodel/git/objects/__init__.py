"""git objects: their formats, reading them, writing them, and fetching those that a partial clone lacks."""
