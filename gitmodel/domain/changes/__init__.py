"""Planning changes: pure functions from a snapshot to the files and tags to write, such as `plan_promotion`."""
