"""The command that shows runs on web pages: `monitor`."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from labnis.cli.options import STATION, DataOption, StationOption
from labnis.ledger.of_station import ledger_to_read
from labnis.station import load_station
from labnis.ui.monitor import serve
from labnis.ui.output import say

__all__ = ["monitor"]

TOKEN = "LABNIS_MONITOR_TOKEN"  # noqa: S105  # the name of a variable
"""Environment variable with the token, in place of a random one."""


def monitor(
    station: StationOption = STATION,
    data: DataOption = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of the pages; 0 chooses a free one.")
    ] = 5006,
    address: Annotated[
        str, typer.Option("--address", help="Where the server listens; others than this computer need --allow.")
    ] = "127.0.0.1",
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="HOST", help="Host by which others address this computer; may be given again."),
    ] = None,
) -> None:
    """Show the runs that are measured now, and results over time, on web pages, until the command is stopped.

    A process of its own, which only reads files and ledger: it can neither change nor stop a run.
    """
    folder: Path = data or load_station(station).data
    serve(
        folder,
        partial(ledger_to_read, station, data),
        address=address,
        port=port,
        allow=allow or (),
        token=os.environ.get(TOKEN),
        say=say,
    )
