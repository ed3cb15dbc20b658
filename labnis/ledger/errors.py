"""Errors of the ledger of cooldowns and calibrations.

LedgerError
├── LedgerUnavailableError      cannot be opened, reached, read or written; wrong version
│   └── LedgerBusyError         another process holds it for longer than `wait`
├── CooldownExistsError         a cooldown of this name exists already
├── NoCooldownError             no cooldown is in progress, or none has this name
├── NoCalibrationError          no calibration has this number
└── InvalidEntryError           a name or a number that cannot be entered
"""

from typing import ClassVar

__all__ = [
    "CooldownExistsError",
    "InvalidEntryError",
    "LedgerBusyError",
    "LedgerError",
    "LedgerUnavailableError",
    "NoCalibrationError",
    "NoCooldownError",
]


class LedgerError(Exception):
    """Root of the ledger's errors.

    Attributes
    ----------
    exit_code
        Exit code of a command that it ends; see `labnis.errors`.

    """

    exit_code: ClassVar[int] = 6


class LedgerUnavailableError(LedgerError):
    """The ledger cannot be opened, reached, read or written, or belongs to a newer labnis."""


class LedgerBusyError(LedgerUnavailableError):
    """Another process holds the ledger for longer than `wait`."""


class CooldownExistsError(LedgerError):
    """A cooldown of this name is in the ledger already."""

    exit_code = 2


class NoCooldownError(LedgerError):
    """No cooldown is in progress, or none has this name."""

    exit_code = 2


class NoCalibrationError(LedgerError):
    """No calibration has this number."""

    exit_code = 2


class InvalidEntryError(LedgerError):
    """A name or a number that cannot be entered."""
