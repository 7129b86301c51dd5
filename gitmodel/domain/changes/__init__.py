"""What each verb writes: pure functions from a snapshot to a change."""
