"""What ends a labnis command, drawn once, with the exit code of each.

::

    LabnisError                     1     never raised itself
    ├── ConfigurationError          2     the station file, the machine or the fridge's wiring is not as it must be
    ├── RequestError                2     a bad request: a parameter out of range, a bias beyond the limit
    ├── BusyError                   3     another process holds the station or one of its instruments
    ├── InterlockError              4     the fridge or the station refuses: too warm, thermometer stale
    ├── InstrumentFault             5     an instrument failed; drivers raise drivers.errors.InstrumentError (also 5)
    ├── StorageFault                6     a run or record cannot be written; labnis.storage and labnis.ledger raise
    │                                     errors of their own (also 6): those rooms know nothing of this one
    ├── DataQualityError            7     data were taken and kept, but must not be trusted
    └── StoppedBySignal        130/143    the experimenter (SIGINT) or the system (SIGTERM, SIGHUP) stopped the run

    LabnisWarning                         the run goes on, and the record says why it should be looked at

A message says what was wrong, where (file, line, key, instrument, command) and what is allowed or to be done.
"""

import signal
from typing import ClassVar

__all__ = [
    "BusyError",
    "ConfigurationError",
    "DataQualityError",
    "InstrumentFault",
    "InterlockError",
    "LabnisError",
    "LabnisWarning",
    "RequestError",
    "StoppedBySignal",
    "StorageFault",
]


class LabnisError(Exception):
    """Root of labnis's errors.

    Attributes
    ----------
    exit_code
        What the command line returns to the shell.

    """

    exit_code: ClassVar[int] = 1


class ConfigurationError(LabnisError):
    """Something given to labnis before the run is wrong or missing; nothing was measured, no bias moved."""

    exit_code = 2


class RequestError(LabnisError):
    """A request that may not be carried out: nothing was sent to any instrument."""

    exit_code = 2


class BusyError(LabnisError):
    """Another process holds the station or an instrument; the message names it."""

    exit_code = 3


class InterlockError(LabnisError):
    """A condition for having a bias on the device is not met."""

    exit_code = 4


class InstrumentFault(LabnisError):  # noqa: N818 - "InstrumentError" is the drivers' own root
    """An instrument failed in a way that ended the run."""

    exit_code = 5


class StorageFault(LabnisError):  # noqa: N818 - as InstrumentFault: what befell the run, not a wrong request
    """Data or records cannot be written or read back."""

    exit_code = 6


class DataQualityError(LabnisError):
    """The data are kept, but something makes them unfit for the result that was asked for."""

    exit_code = 7


class StoppedBySignal(LabnisError):  # noqa: N818 - a stop that was asked for is no error
    """A signal stopped the run; outputs were made safe first.

    Parameters
    ----------
    signum
        The signal: SIGINT ends with exit code 130, any other with 143.
    message
        What had been done when it came.

    """

    exit_code = 130

    def __init__(self, signum: int, message: str) -> None:
        self.signum = signal.Signals(signum)
        if self.signum is not signal.SIGINT:
            self.exit_code = 143  # type: ignore[misc]  # the one class whose code depends on the instance
        super().__init__(f"stopped by {self.signum.name}: {message}")


class LabnisWarning(UserWarning):
    """Something worth looking at that does not stop the run."""
