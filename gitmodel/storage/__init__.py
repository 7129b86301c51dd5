"""The only I/O: the git repository and the artifact stores."""
