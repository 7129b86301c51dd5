"""The request that a step gets, the context in which it plans changes, and the result that it returns."""
