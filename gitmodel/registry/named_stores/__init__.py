"""The artifact stores of a registry: opening them by name, and maintaining them."""
