"""Commands that exchange changes and versions with other repositories."""
