"""The user's files and folders that gitmodel is about to store, and the reasons to refuse them."""
