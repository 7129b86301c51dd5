"""Commands that record models, versions, artifacts and metadata."""
