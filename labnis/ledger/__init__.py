"""Cooldowns of devices and their calibrations in an SQL database. Errors: `labnis.ledger.errors`."""

from labnis.ledger._dependence import dependants, grounds
from labnis.ledger._doubts import later_doubts, of_fit, rests_on
from labnis.ledger._ledger import Ledger, migrate_ledger, new_batch, open_ledger
from labnis.ledger._pending import enter_pending, keep_pending
from labnis.ledger._records import Calibration, Cooldown, NewCalibration, Note
from labnis.ledger._validity import (
    Validity,
    difference_of,
    normalized,
    normalized_error,
    valid_at,
    validities,
)
from labnis.ledger.errors import (
    CooldownExistsError,
    InvalidEntryError,
    LedgerBusyError,
    LedgerError,
    LedgerUnavailableError,
    NoCalibrationError,
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
    "NoCalibrationError",
    "NoCooldownError",
    "Note",
    "Validity",
    "dependants",
    "difference_of",
    "enter_pending",
    "grounds",
    "keep_pending",
    "later_doubts",
    "migrate_ledger",
    "new_batch",
    "normalized",
    "normalized_error",
    "of_fit",
    "open_ledger",
    "rests_on",
    "valid_at",
    "validities",
]
