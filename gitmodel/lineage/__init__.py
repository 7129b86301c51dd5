"""The history of the registry, the lineage of versions, their code, comparing them and exporting them."""
