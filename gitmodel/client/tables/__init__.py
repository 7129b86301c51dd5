"""The rows that a search returns, as tables for notebooks and data frames."""
