"""The pages. The module of a page has the class of its value, the function that reads the value, and a `Page`."""
