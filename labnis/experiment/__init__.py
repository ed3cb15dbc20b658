"""One measurement from the request to the ledger."""
