"""The pages: for each, its value, the function that reads it, and its `Page`."""
