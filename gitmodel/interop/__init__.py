"""Other registries: importing from them, and serving their users. Each module uses the client only."""
