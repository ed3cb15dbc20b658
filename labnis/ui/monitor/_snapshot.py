"""What the monitor knows at one moment: plain values, made by its reader and shown by its pages."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from labnis.fit import Estimate
from labnis.ledger import Calibration
from labnis.storage import Event, RunSummary
from labnis.ui.monitor._panels import Image, Panel

__all__ = ["LiveEstimate", "RunView", "Snapshot"]

RUNNING = "running"


@dataclass(frozen=True)
class LiveEstimate:
    """Results of a live fit: of how many rows, when (UTC), by name, and reasons to doubt them."""

    rows: int
    time: datetime
    results: Mapping[str, Estimate]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class RunView:
    """One run as its pages show it.

    Attributes
    ----------
    run_id, procedure, device, cooldown, simulated, start, end
        Of the file; `device` is empty where none was given.
    status, reason
        As `labnis ls` finds them: running, done, aborted, failed, or interrupted, where the process died.
    rows, planned
        Rows that are measured, and those that are planned; None where that is not known.
    remaining
        Time (s) to the end by the median time of a row; NaN where it is not known, or the run has ended.
    bias, fridge_temperature
        In the last row (V, K); NaN where the run has no such column, or has ended.
    events
        The newest, without live fits.
    estimates
        The live fits, oldest first.
    results, doubtful, warnings
        Of the fits at the end, or else of the newest live fit; which of them are in doubt, and why.
    notes
        What the σ of the fits at the end does not contain.
    final
        Whether the results are those of the fits at the end.
    panels
        What is drawn of it; empty where no page asks for it.

    """

    run_id: str
    procedure: str
    device: str
    cooldown: str
    simulated: bool
    start: datetime
    end: datetime | None
    status: str
    reason: str
    rows: int
    planned: int | None
    remaining: float
    bias: float
    fridge_temperature: float
    events: tuple[Event, ...]
    estimates: tuple[LiveEstimate, ...]
    results: Mapping[str, Estimate]
    doubtful: frozenset[str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    final: bool
    panels: tuple[Panel | Image, ...] = ()

    @property
    def per_cent(self) -> float:
        """How much of the planned rows is measured, up to 100; NaN where that is not known."""
        return min(100.0, 100.0 * self.rows / self.planned) if self.planned else math.nan

    @property
    def estimated_rows(self) -> int:
        """Rows of the newest live fit; 0 before it."""
        return self.estimates[-1].rows if self.estimates else 0


@dataclass(frozen=True)
class Snapshot:
    """Runs and results at one moment.

    Attributes
    ----------
    taken
        When (UTC).
    views
        The running runs, the newest ended ones, and those that pages ask for, newest first.
    runs
        All runs in the order of `labnis.storage.list_runs`.
    calibrations
        All results in the ledger.
    problems
        What could not be read, in sentences.
    reading_time
        How long reading took (s).

    """

    taken: datetime
    views: tuple[RunView, ...] = ()
    runs: tuple[RunSummary, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    problems: tuple[str, ...] = ()
    reading_time: float = 0.0

    @property
    def running(self) -> tuple[RunView, ...]:
        """The runs that are measured now."""
        return tuple(view for view in self.views if view.status == RUNNING)

    def view(self, run_id: str) -> RunView | None:
        """The run of this id; None where it is not known, or not read yet."""
        return next((view for view in self.views if view.run_id == run_id), None)
