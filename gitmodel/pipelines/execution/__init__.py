"""Running a pipeline: the checks before the run, the schedule of the steps, and the commit at the end."""
