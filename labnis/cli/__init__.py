"""The command line. Every command ends with one of the exit codes listed in `labnis.errors`."""

import logging
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from typing import Annotated

import typer
from qcodes.utils import QCoDeSDeprecationWarning

from drivers.errors import InstrumentError
from labnis import __version__
from labnis.cli import continuing, looking, measuring, replaying, reproducing, rescuing
from labnis.cli.twin import twin_app
from labnis.errors import LabnisError, RequestError, StoppedBySignal
from labnis.ledger import CooldownExistsError, LedgerError, NoCooldownError
from labnis.storage import DataRootError, RunNotFoundError, StorageError
from sim_instruments.server import ServerError
from sim_instruments.truth import TruthError

__all__ = ["app", "main"]

app = typer.Typer(
    help="Measure and calibrate NIS devices in a dilution refrigerator.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(measuring.run)
app.command()(measuring.calibrate)
app.command()(measuring.check)
app.command()(rescuing.safe)
app.command()(continuing.resume)
app.command()(continuing.recover)
app.command()(replaying.replay)
app.command()(reproducing.reproduce)
app.command()(looking.ls)
app.command()(looking.show)
app.command()(looking.log)
app.command()(looking.calibrations)
app.add_typer(looking.cooldown_app, name="cooldown")
app.add_typer(twin_app, name="twin")


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
    except LabnisError as error:
        _fail(error, error.exit_code)
    except (TruthError, ServerError, DataRootError, RunNotFoundError, CooldownExistsError, NoCooldownError) as error:
        _fail(error, RequestError.exit_code)
    except InstrumentError as error:
        _fail(error, 5)
    except (StorageError, LedgerError) as error:
        _fail(error, 6)
    except Exception as error:  # noqa: BLE001  # the last resort: say what happened, with where
        traceback.print_exception(error)
        _fail(error, 1)


def _quieten_libraries() -> None:
    """Show labnis's own warnings; QCoDeS's about its own drivers and their snapshots help nobody at the fridge."""
    logging.basicConfig(level=logging.WARNING, format="labnis: %(levelname)s: %(message)s")
    logging.getLogger("qcodes").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", QCoDeSDeprecationWarning)


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
