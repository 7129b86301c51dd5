"""Lists of models and versions, searched and sorted, with the help of the index."""
