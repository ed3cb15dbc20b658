"""A web page that shows runs while they are measured, and results over time; it reads files and ledger only."""
