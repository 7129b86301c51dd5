"""Working with others: pull and push, proposals, plans, checks between commits."""
