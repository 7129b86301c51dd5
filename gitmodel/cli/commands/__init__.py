"""The commands, one module for each topic. A command has options, one call of the client and one output."""
