"""Plans: the effects of a merge, with information for reviewers."""
