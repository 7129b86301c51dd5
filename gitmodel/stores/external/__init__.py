"""External artifacts: files that gitmodel records by their URI and digest, and does not copy into the store."""
