"""Running one step: the executors, the request and result of a step, its context and its output."""
