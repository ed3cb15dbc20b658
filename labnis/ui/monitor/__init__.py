"""A web page that shows runs while they are measured, and results over time; it reads files and ledger only."""

from labnis.ui.monitor._server import serve

__all__ = ["serve"]
