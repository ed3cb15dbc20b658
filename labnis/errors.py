"""Errors that end a labnis command, as a tree, with the exit code of each.

::

    LabnisError                     1     never raised directly
    ├── ConfigurationError          2     the station file, the machine or the wiring is not usable
    ├── RequestError                2     a bad request: a parameter out of range, a bias beyond the limit;
    │                                     procedures raise procedures.parameter_values.ProcedureError (also 2)
    ├── BusyError                   3     another process holds the station or one of its instruments
    ├── InterlockError              4     an interlock is not satisfied: too warm, thermometer stale
    ├── InstrumentFault             5     an instrument failed; drivers raise drivers.errors.InstrumentError (also 5)
    │   └── TakenOverError          5     the run did not respond in time; its guardian has ramped the bias to zero
    ├── StorageFault                6     a run or record cannot be written; labnis.storage and labnis.ledger raise
    │                                     errors of their own (also 6), without importing this module
    ├── DataQualityError            7     data were taken and saved, but are not valid for the result
    └── StoppedBySignal        130/143    SIGINT, SIGTERM or SIGHUP stopped the run

    LabnisWarning                         the run continues, and its file says why it needs a check

A message says what was wrong, where (file, line, key, instrument, command) and what is allowed or what to do.
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
    "TakenOverError",
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
    """Input given before the run is wrong or missing; nothing was measured, no bias moved."""

    exit_code = 2


class RequestError(LabnisError):
    """A request that is refused: nothing was sent to any instrument."""

    exit_code = 2


class BusyError(LabnisError):
    """Another process holds the station or an instrument; the message names it."""

    exit_code = 3


class InterlockError(LabnisError):
    """A condition for a bias on the device is not satisfied."""

    exit_code = 4


class InstrumentFault(LabnisError):  # noqa: N818 - "InstrumentError" is the root of the drivers' errors
    """An instrument failed in a way that ended the run."""

    exit_code = 5


class TakenOverError(InstrumentFault):
    """The run did not respond within the time it had declared, or failed to reach zero; its guardian acts in its place.

    Parameters
    ----------
    message
        What happened.
    safe
        Whether the guardian has brought everything that moves to its end.

    """

    def __init__(self, message: str, *, safe: bool) -> None:
        super().__init__(message)
        self.safe = safe


class StorageFault(LabnisError):  # noqa: N818 - as InstrumentFault: a fault during the run, not a wrong request
    """Data cannot be written or read back."""

    exit_code = 6


class DataQualityError(LabnisError):
    """The data are saved, but are not valid for the requested result."""

    exit_code = 7


class StoppedBySignal(LabnisError):  # noqa: N818 - a requested stop is not an error
    """A signal stopped the run; outputs were made safe first.

    Parameters
    ----------
    signum
        The signal: SIGINT ends with exit code 130, any other with 143.
    message
        State of the run when the signal arrived.

    """

    exit_code = 130

    def __init__(self, signum: int, message: str) -> None:
        self.signum = signal.Signals(signum)
        if self.signum is not signal.SIGINT:
            self.exit_code = 143  # type: ignore[misc]  # the only class whose code depends on the instance
        super().__init__(f"stopped by {self.signum.name}: {message}")


class LabnisWarning(UserWarning):
    """A condition that needs a check but does not stop the run."""
