"""Work trees: listing and adding them, and recording their state without changing their index."""
