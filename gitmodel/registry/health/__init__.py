"""Finding faults: `check` in the records of a branch, `doctor` in a clone."""
