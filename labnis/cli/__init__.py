"""The command line. Every command ends with one of the exit codes listed in `labnis.errors`."""

import logging
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer

from labnis import __version__
from labnis.errors import LabnisError, StoppedBySignal

__all__ = ["app", "main"]

_MODULES = {
    "run": "measuring",
    "calibrate": "measuring",
    "resume": "measuring",
    "queue": "measuring",
    "check": "checking",
    "safe": "rescuing",
    "recover": "recovering",
    "replay": "replaying",
    "reproduce": "reproducing",
    "ls": "looking",
    "show": "looking",
    "log": "looking",
    "calibrations": "looking",
    "cooldown": "cooldowns",
    "new": "creating",
    "twin": "twin",
}
"""Command → module of this package that has a function, or a group of commands, of that name."""


class _Commands(typer.core.TyperGroup):
    """Commands whose modules are imported when they are asked for: `safe` does not wait for plots and fits."""

    def list_commands(self, ctx: Any) -> list[str]:  # Click's signature, as below
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _MODULES:
            return None
        found = getattr(import_module(f"labnis.cli.{_MODULES[cmd_name]}"), cmd_name)
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(pretty_exceptions_enable=False, add_completion=False)
            found.command(cmd_name)(function)
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=_Commands,
    help="Measure and calibrate NIS devices in a dilution refrigerator.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"labnis {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point: run a command and turn what it raises into a message and an exit code."""
    _quieten_libraries()
    try:
        app()
    except Exception as error:  # noqa: BLE001  # the last resort: say what happened, with where
        # Errors of rooms that know nothing of ours have an exit code, too.
        code = getattr(error, "exit_code", None)
        if code is None:
            traceback.print_exception(error)
        _fail(error, code or LabnisError.exit_code)


def _quieten_libraries() -> None:
    """Show labnis's own warnings; QCoDeS's about its own drivers and their snapshots help nobody at the fridge."""
    logging.basicConfig(level=logging.WARNING, format="labnis: %(levelname)s: %(message)s")
    logging.getLogger("qcodes").setLevel(logging.ERROR)
    # By its text, as QCoDeS is not imported here: "… does not correctly pass kwargs to its baseclass".
    warnings.filterwarnings("ignore", message=r"Parameter .* does not correctly pass kwargs")


def _fail(error: Exception, code: int) -> None:
    if isinstance(error, StoppedBySignal):
        # Whoever sent eleven signals gets the exit code of the first: the last ones may arrive only now.
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(OSError):  # the terminal may be gone
        for line in (str(error), *getattr(error, "__notes__", ())):
            print(f"labnis: {line}", file=sys.stderr)  # noqa: T201  # the one place where a command fails
    sys.exit(code)
