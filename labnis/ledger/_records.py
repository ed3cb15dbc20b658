"""Entries and results of the ledger: frozen dataclasses, never database objects."""

import math
from dataclasses import dataclass
from datetime import datetime

from labnis.ledger.errors import InvalidEntryError

__all__ = ["Calibration", "Cooldown", "NewCalibration", "Note"]


@dataclass(frozen=True)
class Cooldown:
    """One cooldown of a device; times are UTC, `ended` is None while it is in progress.

    `device` is the device's name, empty in entries of stations that give none.
    """

    device: str
    name: str
    note: str
    started: datetime
    ended: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewCalibration:
    """A result to be entered.

    Attributes
    ----------
    quantity
        Name of the result, such as "gain".
    value, sigma
        The result and its total 1σ, in `unit`; None where the data do not determine it.
    run_path, run_id
        File and id of its run.
    model, code_version
        Name of the fit's model; commit or version of the code.
    simulated
        Whether the run was simulated.
    assumed
        Assumptions, in words; empty if none.
    analysis
        Name of its analysis.
    fit
        Name of its fit in the run's file, such as "emitted_power@2"; empty if that is the name of the analysis.
    systematic
        The part of sigma by named sources; None where none is stated.
    contributions
        Change of the value by one standard uncertainty of each source, as JSON: uid → change; empty where none is
        stated. Results err together where they share a source.
    limit
        Upper limit (95 %) of a result that the data do not determine; None for one that they do.
    warnings
        Reasons to doubt the fit; empty if there are none.
    measured
        Start of its run, with its zone; None if it is the time at which the result is entered.
    conditions
        Fridge temperature (K), wiring, the identities of the instruments, the ranges in use (column → ranges in its
        unit) and the computer of the station, as JSON; empty where not known.
    used
        Fits of earlier runs that the fit needed, as JSON: a list of [name in its file, run id]; empty for none.

    Raises
    ------
    InvalidEntryError
        A number is not finite, sigma is negative, a name is empty, or there is neither a value nor a limit.

    """

    quantity: str
    value: float | None
    sigma: float | None
    unit: str
    run_path: str
    run_id: str
    model: str
    code_version: str
    simulated: bool
    assumed: str = ""
    analysis: str = ""
    fit: str = ""
    systematic: float | None = None
    contributions: str = ""
    warnings: str = ""
    limit: float | None = None
    measured: datetime | None = None
    conditions: str = ""
    used: str = ""

    def __post_init__(self) -> None:
        numbers = (self.limit,) if self.limit is not None else (self.value, self.sigma)
        fine = all(number is not None and math.isfinite(number) for number in numbers) and (self.sigma or 0.0) >= 0
        if not fine or (self.limit is not None and (self.value is not None or self.sigma is not None)):
            raise InvalidEntryError(
                f"{self.quantity} = {self.value} ± {self.sigma} {self.unit} cannot be a calibration: "
                "value and sigma must be finite, and sigma not negative; or a limit stands alone"
            )
        for field in ("quantity", "unit", "run_path", "run_id", "model", "code_version"):
            if not (isinstance(text := getattr(self, field), str) and text):
                raise InvalidEntryError(f"calibration {self.quantity!r:.100}: {field} is {text!r:.100}; text is needed")


@dataclass(frozen=True, kw_only=True)
class Calibration(NewCalibration):
    """A result in the ledger: `batch` is shared by all results of one session.

    `created` (UTC) is the time at which the result was found, also where it was entered later. `revoked` (UTC) is the
    time at which it was revoked, for a `reason`; None if it was not.
    """

    number: int
    batch: str
    device: str
    cooldown: str
    created: datetime
    measured: datetime
    revoked: datetime | None
    reason: str

    @property
    def name_in_file(self) -> str:
        """Name of its fit in the run's file."""
        return self.fit or self.analysis


@dataclass(frozen=True)
class Note:
    """A note on a calibration, written at a time (UTC)."""

    written: datetime
    text: str
