"""The functions behind the commands. They take a writer, a repository or stores, return values, and never print."""
