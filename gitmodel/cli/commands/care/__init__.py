"""Commands that check and maintain the registry and its stores."""
