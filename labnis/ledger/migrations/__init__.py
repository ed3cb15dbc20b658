"""Migrations of the ledger, run by `labnis.ledger.open_ledger`."""
