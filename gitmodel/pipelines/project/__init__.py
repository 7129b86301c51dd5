"""The user's project: the code that steps depend on, its loaded modules, and the files that steps and modules open."""
