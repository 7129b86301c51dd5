"""Moving refs of the repository on this machine, and the refs for reservations and renumberings."""
