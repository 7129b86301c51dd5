"""The index: a derived database that finds versions by the values in their records."""
