"""Changes for review: proposals on a branch of their own, and copies in another registry."""
