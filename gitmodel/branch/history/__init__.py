"""The history of the metadata branch: its states, the changes of stages, and the authors of changes."""
