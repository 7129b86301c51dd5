"""The results of searches: tuples that notebooks show as tables, and that convert to data frames."""
