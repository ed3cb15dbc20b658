"""Watching runs: how a run ended, who may look on, and why that never changes a run."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pymeasure.experiment import Procedure

from labnis.fit import Estimate, FitResult
from labnis.storage import Status

__all__ = ["Display", "GuardedDisplay", "RunOutcome"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes
    ----------
    results
        Result name → estimate; empty where there is no estimator or no fit.
    problem
        Why there is no fit; empty otherwise.
    notes
        What happened beside the measurement and did not change it: a live fit or a display that failed, the run of
        an earlier session that the fit builds on.

    """

    path: Path
    status: Status
    rows: int
    fit: FitResult | None
    results: Mapping[str, Estimate]
    problem: str = ""
    notes: tuple[str, ...] = ()


class Display(Protocol):
    """Whoever watches runs. What it raises or shows never changes a run."""

    def started(self, procedure: Procedure, path: Path) -> None:
        """A run begins."""

    def progressed(self, percent: float, rows: int) -> None:
        """A row is recorded."""

    def estimated(self, fit: FitResult) -> None:
        """A live fit has new values."""

    def finished(self, outcome: RunOutcome) -> None:
        """The run is over."""


class GuardedDisplay:
    """Passes everything on to `display`, and lets the run go on without it once it has failed.

    Attributes
    ----------
    problem
        What the display failed with; empty if it did not.

    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self.problem = ""

    def started(self, procedure: Procedure, path: Path) -> None:
        """A run begins."""
        self._pass_on("started", procedure, path)

    def progressed(self, percent: float, rows: int) -> None:
        """A row is recorded."""
        self._pass_on("progressed", percent, rows)

    def estimated(self, fit: FitResult) -> None:
        """A live fit has new values."""
        self._pass_on("estimated", fit)

    def finished(self, outcome: RunOutcome) -> None:
        """The run is over."""
        self._pass_on("finished", outcome)

    def _pass_on(self, event: str, *details: Any) -> None:
        if self.problem:
            return
        try:
            getattr(self._display, event)(*details)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a display does, the measurement goes on
            # rich calls sys.exit() when the other end of its pipe is gone.
            self.problem = f"the display failed when the run {event}: {type(error).__name__}: {error}"
            logger.warning("%s; the run goes on without it", self.problem)
