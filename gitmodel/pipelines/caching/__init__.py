"""The cache of steps: the dependencies of a result, and finding an earlier result with the same dependencies."""
