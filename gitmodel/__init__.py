"""gitmodel: a model registry that lives in git."""

__version__ = "0.1.0"
