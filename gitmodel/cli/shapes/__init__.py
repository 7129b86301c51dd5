"""The shapes of JSON and TSV output, in a module for each room of `cli/commands/`."""
