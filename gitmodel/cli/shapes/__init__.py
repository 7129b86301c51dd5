"""The fields of JSON and TSV output, in a module for each folder of `cli/commands/`."""
