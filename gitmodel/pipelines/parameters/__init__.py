"""Converting the parameters of a pipeline from texts, files and records to values of the annotated types."""
