"""The code of versions: recording it, checking it out, and finding the versions that were made from a commit."""
