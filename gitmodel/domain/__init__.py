"""Pure values and rules: no git, no files, no clock, no network."""
