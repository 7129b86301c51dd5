"""Writers: objects that read and write a registry, directly or as one batch."""
