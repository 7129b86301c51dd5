"""The demo: a registry with nine months of history, in which people train models and promote versions."""
