"""What users declare: steps, their outputs and configuration, and the graph that a call of a pipeline builds."""
