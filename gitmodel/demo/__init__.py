"""The demo: a registry with a history of nine months, made by training models and promoting their versions."""
