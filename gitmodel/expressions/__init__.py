"""Filters and gates: expressions in the language CEL, which gitmodel evaluates on one record. Pure: no I/O."""
