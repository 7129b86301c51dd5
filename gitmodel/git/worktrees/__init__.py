"""Work trees: listing and adding them, and finding out their state without changing their index."""
