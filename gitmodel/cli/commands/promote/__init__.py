"""Commands that change stages, their rules and aliases, or propose such changes."""
