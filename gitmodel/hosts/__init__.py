"""Git hosts: their addresses, API and pull requests, and the files that they read."""
