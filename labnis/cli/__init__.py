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
from labnis.printable import printable, without_passwords

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
    """Commands whose modules are imported on first use, so that `safe` starts without plots and fits."""

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
    """Entry point: run a command and turn exceptions into a message and an exit code."""
    _quieten_libraries()
    try:
        app()
    except Exception as error:  # noqa: BLE001  # last resort: print the message and the traceback
        # Errors of packages that do not import labnis.errors have an exit code, too.
        code = getattr(error, "exit_code", None)
        if code is None:
            traceback.print_exception(error)
        _fail(error, code or LabnisError.exit_code)


def _quieten_libraries() -> None:
    """Show labnis's warnings; hide those of QCoDeS about its own drivers and their snapshots."""
    logging.basicConfig(level=logging.WARNING, format="labnis: %(levelname)s: %(message)s")
    logging.getLogger("qcodes").setLevel(logging.ERROR)
    # Filtered by text, because QCoDeS is not imported here: "… does not correctly pass kwargs to its baseclass".
    warnings.filterwarnings("ignore", message=r"Parameter .* does not correctly pass kwargs")


def _fail(error: Exception, code: int) -> None:
    if isinstance(error, StoppedBySignal):
        # Repeated signals may arrive only now; the exit code is that of the first.
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
    with suppress(OSError):  # the terminal may be closed
        for line in (str(error), *getattr(error, "__notes__", ())):
            print(f"labnis: {printable(without_passwords(line))}", file=sys.stderr)  # noqa: T201  # the only place that prints a failure
    sys.exit(code)
