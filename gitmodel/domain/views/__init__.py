"""Values made from records for everything that shows them: tables, JSON, pages and model cards."""
