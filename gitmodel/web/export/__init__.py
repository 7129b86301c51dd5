"""The export of pages to a folder: the site, the board of several registries, and the state of an export."""
