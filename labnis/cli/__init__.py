"""The command line. Every command ends with one of the exit codes listed in `labnis.errors`."""

import gc
import logging
import os
import signal
import sys
import threading
import time
import traceback
import warnings
from importlib import import_module
from keyword import iskeyword
from typing import Annotated, Any

import typer

from labnis import __version__
from labnis.errors import LabnisError, StoppedBySignal
from labnis.printable import without_passwords
from labnis.ui.log import log_to_terminal
from labnis.ui.output import say, steady_streams

__all__ = ["COMMANDS", "app", "main", "run"]

COMMANDS = {
    "run": ("measuring", "Run one procedure, fit it live, and enter the results in the ledger."),
    "calibrate": ("measuring", "Measure I–V, reflection and emitted power; enter their results in the ledger."),
    "resume": ("measuring", "Continue an interrupted run in the same file."),
    "queue": ("measuring", "Run several procedures one after the other."),
    "procedures": ("asking", "List the procedures and their parameters, with units, defaults and limits."),
    "check": ("checking", "Check the station file, the data folder and the ledger; with --open also the instruments."),
    "discover": ("discovering", "List the instruments that VISA finds, and the lines of a station file for them."),
    "safe": ("rescuing", "Ramp the station's bias to zero and verify it."),
    "ls": ("looking", "List the runs in the data folder."),
    "show": ("looking", "Show the metadata, conditions and fits of runs."),
    "log": ("looking", "Show the events of a run: interlocks, faults, pauses, resumptions, warnings."),
    "monitor": ("monitoring", "Show the runs that are measured now, and results over time, on web pages."),
    "budget": ("budgets", "Show what one standard uncertainty of each source contributes to the results of a run."),
    "refit": ("refitting", "Fit runs again, and print what moved by how many σ."),
    "calibrations": ("calibrations", "List the calibrations in the ledger."),
    "cooldown": ("cooldowns", "Cooldowns of the station's device; every calibration belongs to one."),
    "apply": ("applying", "Show spectra or S11 as they are at the device."),
    "import": ("importing", "Make a run of a file of another program, and fit it."),
    "export": ("exporting", "Write a run as a file of another program."),
    "report": ("reporting", "Write what was measured, with figures, results, doubts and settings, into one file."),
    "compare": ("comparing", "Compare runs: settings that differ, and how far their results are apart."),
    "ledger": ("ledger", "What was valid when, what depends on what; revoke calibrations, and note something on them."),
    "recover": ("recovering", "Make an interrupted run readable and complete, from its journal."),
    "replay": ("replaying", "Repeat a recorded command without instruments."),
    "reproduce": ("reproducing", "Draw the figures of the source papers, and compare their numbers."),
    "new": ("creating", "Create a lab's own folder from a template."),
    "twin": ("twin", "The simulated fridge as a server."),
}
"""Command → module of this package that has a function, or a group of commands, of that name; and its summary."""


_INTERRUPTED = 130
"""Exit code after SIGINT."""

_PATIENCE = 5.0
"""Time (s) that threads have to end after a command."""


class _Command(typer.core.TyperCommand):
    """A command whose module is imported when it runs, so that a list of commands needs no libraries."""

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:  # Click's signature
        return _loaded(str(self.name)).make_context(info_name, args, parent=parent, **extra)


def _loaded(name: str) -> Any:
    # Imports leave nothing to collect. Looking for it, while they run and at exit, takes a third of a short command.
    gc.disable()
    try:
        attribute = f"{name}_" if iskeyword(name) else name
        found = getattr(import_module(f"labnis.cli.{COMMANDS[name][0]}"), attribute)
    finally:
        gc.freeze()
        gc.enable()
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        found.command(name)(function)
    found.rich_markup_mode = None
    command = typer.main.get_command(found)
    command.name = name
    return command


class _Commands(typer.core.TyperGroup):
    """The commands of `COMMANDS`."""

    def list_commands(self, ctx: Any) -> list[str]:  # Click's signature, as below
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        summary = COMMANDS[cmd_name][1]
        return _Command(cmd_name, help=summary, short_help=summary, rich_markup_mode=None)


app = typer.Typer(
    cls=_Commands,
    help="Measure and calibrate NIS devices in a dilution refrigerator.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help without boxes and colours, also in pipes and narrow terminals
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"labnis {__version__}")
        raise typer.Exit


@app.callback()
def _labnis(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of `labnis` itself."""


def main() -> None:
    """Entry point of the process: `run`, and the process ends also where a thread of the command does not."""
    try:
        run()
    except SystemExit as end:
        _leave(end.code)


def run() -> None:
    """Run a command, turn exceptions into a message, and raise SystemExit with the exit code."""
    with steady_streams(), warnings.catch_warnings():
        _set_up_log()
        try:
            app(prog_name="labnis")  # also where it was started as `python -m labnis.cli`
        except SystemExit as end:
            if end.code == _INTERRUPTED:  # before or after a run, which heeds signals itself
                say("labnis: stopped by SIGINT", err=True)
            raise
        except Exception as error:  # noqa: BLE001  # last resort: print the message and the traceback
            # Errors of packages that do not import labnis.errors have an exit code, too.
            code = getattr(error, "exit_code", None)
            if code is None:
                say(without_passwords("".join(traceback.format_exception(error)).rstrip()), err=True)
            _fail(error, code or LabnisError.exit_code)


def _set_up_log() -> None:
    """Show labnis's warnings; hide those of QCoDeS about its own drivers and their snapshots."""
    log_to_terminal()
    logging.getLogger("qcodes").setLevel(logging.ERROR)
    warnings.showwarning = _log_warning  # type: ignore[assignment]  # it is called by position
    # Filtered by text, because QCoDeS is not imported here: "… does not correctly pass kwargs to its baseclass".
    warnings.filterwarnings("ignore", message=r"Parameter .* does not correctly pass kwargs")


def _log_warning(message: Warning | str, category: type[Warning], *_place: Any) -> None:
    """Report a warning like every other message: without the place in the source, which is no help to a user."""
    ours = category.__module__.partition(".")[0] == "labnis"
    logging.getLogger("labnis").warning("%s", message if ours else repr(message))


def _fail(error: Exception, code: int) -> None:
    if isinstance(error, StoppedBySignal):
        # Repeated signals may arrive only now; the exit code is that of the first.
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.SIG_IGN)
    for line in (str(error), *getattr(error, "__notes__", ())):
        say(f"labnis: {without_passwords(line)}", err=True)
    sys.exit(code)


def _leave(code: Any) -> None:
    """End the process with `code`, also where a thread never ends: it waits for a disk, for example."""
    deadline = time.monotonic() + _PATIENCE
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join(max(deadline - time.monotonic(), 0.0))
            if thread.is_alive():
                say(f"labnis: the thread {thread.name} has not ended and is left", err=True)
                os._exit(code if isinstance(code, int) else 0)
    sys.exit(code)
