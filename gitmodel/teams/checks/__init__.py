"""Checking a change before it is merged or received: `check BASE..HEAD`, and a push on the server."""
