"""Requests to servers: by HTTP, repeated after failures, and uploads that continue after an interruption."""
