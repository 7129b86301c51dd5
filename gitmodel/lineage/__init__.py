"""The past of the registry: histories of stages, models and versions, past states, and the code of versions."""
