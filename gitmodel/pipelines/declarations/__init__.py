"""The declarations of users: steps, their outputs and configuration, and the graph of steps that a pipeline builds."""
