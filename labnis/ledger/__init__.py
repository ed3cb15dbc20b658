"""Cooldowns of devices and their calibrations in an SQL database. Errors: `labnis.ledger.errors`."""

from labnis.ledger._ledger import Ledger, migrate_ledger, new_batch, open_ledger
from labnis.ledger._pending import enter_pending, keep_pending
from labnis.ledger._records import Calibration, Cooldown, NewCalibration
from labnis.ledger.errors import (
    CooldownExistsError,
    InvalidEntryError,
    LedgerBusyError,
    LedgerError,
    LedgerUnavailableError,
    NoCooldownError,
)

__all__ = [
    "Calibration",
    "Cooldown",
    "CooldownExistsError",
    "InvalidEntryError",
    "Ledger",
    "LedgerBusyError",
    "LedgerError",
    "LedgerUnavailableError",
    "NewCalibration",
    "NoCooldownError",
    "enter_pending",
    "keep_pending",
    "migrate_ledger",
    "new_batch",
    "open_ledger",
]
