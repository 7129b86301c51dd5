"""Moving refs of the repository on this machine and retrying; the refs for reservations and renumberings."""
