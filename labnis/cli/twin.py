"""Commands of the simulated fridge: `twin serve`."""

from pathlib import Path
from typing import Annotated

import typer

from labnis.cli.options import path_of
from sim_instruments import SHIPPED_TRUTH
from sim_instruments.server import serve as serve_twin

__all__ = ["twin"]

twin = typer.Typer(help="The simulated fridge as a server.", no_args_is_help=True, add_completion=False)


@twin.callback()
def _twin() -> None:
    """Keep `serve` a subcommand: typer merges a group of one command."""


@twin.command("serve")
def serve(
    port: Annotated[int, typer.Option("--port", min=0, max=65530, help="First of six ports; 0 chooses free ones.")] = 0,
    twin: Annotated[Path, typer.Option("--twin", parser=path_of, metavar="FILE", help="Truth file.")] = SHIPPED_TRUTH,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the simulated noise.")] = None,
    log: Annotated[
        Path | None,
        typer.Option("--log", parser=path_of, metavar="FILE", help="Log every command to this file as JSON lines."),
    ] = None,
) -> None:
    """Serve the simulated fridge to other processes.

    One TCP socket per instrument, on this machine only, until the command is stopped.
    """
    serve_twin(twin, port=port, seed=seed, log=log)
