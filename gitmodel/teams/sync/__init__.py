"""Exchanging a registry with a remote: pull, push, clone and `apply --push`."""
