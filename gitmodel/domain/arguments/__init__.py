"""The arguments of public functions: checking them, and converting them to the values of records."""
