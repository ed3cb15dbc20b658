"""A web page that shows runs while they are measured, and results over time; it reads files and ledger only."""

from labnis.ui.monitor._metrics import metrics_text, status_of
from labnis.ui.monitor._panels import Image, Panel, Series
from labnis.ui.monitor._reader import Reader
from labnis.ui.monitor._server import serve
from labnis.ui.monitor._snapshot import LiveEstimate, RunView, Snapshot

__all__ = [
    "Image",
    "LiveEstimate",
    "Panel",
    "Reader",
    "RunView",
    "Series",
    "Snapshot",
    "metrics_text",
    "serve",
    "status_of",
]
