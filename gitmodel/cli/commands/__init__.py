"""The commands, one module for each topic: options, one call of the client, one output."""
