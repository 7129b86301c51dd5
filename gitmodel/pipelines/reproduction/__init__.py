"""Running a recorded pipeline again, and comparing its outputs with the record."""
