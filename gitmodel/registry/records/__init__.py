"""Models and versions: creating, finding, changing and deleting one of them."""
