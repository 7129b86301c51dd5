"""Values as JSON, NumPy files and Arrow tables that read back equal."""
