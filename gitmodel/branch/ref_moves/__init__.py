"""Moving refs of this repository: transactions, reservations, renumberings."""
