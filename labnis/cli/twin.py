"""Commands of the simulated fridge: `twin serve`."""

from pathlib import Path
from typing import Annotated

import typer

from labnis.cli.options import path_of
from labnis.experiment.twin import setup_of, truth_file
from labnis.station import load_station
from labnis.ui.output import say
from sim_instruments import SHIPPED_TRUTH, Setup
from sim_instruments.panels import panel_of
from sim_instruments.server import serve as serve_twin
from sim_instruments.server import web_server_of

__all__ = ["twin"]

twin = typer.Typer(help="The simulated fridge as a server.", no_args_is_help=True, add_completion=False)


@twin.callback()
def _twin() -> None:
    """Keep `serve` a subcommand: typer merges a group of one command."""


@twin.command("serve")
def serve(
    port: Annotated[int, typer.Option("--port", min=0, max=65530, help="First of the ports; 0 chooses free ones.")] = 0,
    twin: Annotated[
        Path | None,
        typer.Option("--twin", parser=path_of, metavar="FILE", help="Truth file; that of the station file by default."),
    ] = None,
    station: Annotated[
        Path | None,
        typer.Option(
            "--station",
            parser=path_of,
            metavar="FILE",
            help="Serve the instruments of this station file.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the simulated noise.")] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", parser=path_of, metavar="FILE", help="Log every command to this file as JSON lines."),
    ] = None,
) -> None:
    """Serve the simulated fridge to other processes.

    One TCP socket per instrument, and HTTP with websockets for the computer of a Bluefors fridge, on this machine only,
    until the command is stopped.
    """
    setup, truth = Setup(), twin or SHIPPED_TRUTH
    if station is not None:
        config = load_station(station)
        setup, truth = setup_of(config, without_role=True), truth_file(config, twin)
        for name, one in setup.instruments.items():
            if panel_of(one) is None and web_server_of(one) is None:
                say(f"{name}: there is no panel of {one.models[0]}, so it is not served", err=True)
    serve_twin(truth, port=port, seed=seed, log=log, setup=setup)
