"""The artifacts of a version: storing, linking, fetching and verifying them."""
