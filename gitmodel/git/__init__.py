"""Running git, and reading and writing its settings, refs, objects, signatures and work trees. Knows no registries."""
