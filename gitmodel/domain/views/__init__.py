"""Values for readers, made from records."""
