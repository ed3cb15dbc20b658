"""Events that a session publishes, and its observers.

An observer is any function of one event. Terminal, plot window and VISA record are observers; none of them
can change or fail a run: one that raises is no longer called, and the run's file says why. Its attribute `needs_fits =
False` says that it does not show live fits; without anybody who does, and without a goal, they are not made.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import xarray
from pymeasure.experiment import Procedure

from labnis.experiment.run import Run
from labnis.fit import Estimate, FitResult
from labnis.station import VisaListener

__all__ = ["Ended", "Event", "Fitted", "Observer", "Observers", "RowRecorded", "Started", "VisaRecord"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Started:
    """A run begins.

    Attributes
    ----------
    procedure
        Configured; an observer may read it, not change it.
    path
        The run's file.
    points
        Number of points planned; None if it is not known.
    duration
        Planned (s); NaN if it is not known.
    first_point
        More than 0 where a run is resumed.

    """

    procedure: Procedure
    path: Path
    points: int | None
    duration: float
    first_point: int


@dataclass(frozen=True)
class RowRecorded:
    """A row is in the file, or only the progress changed.

    Attributes
    ----------
    rows
        Rows so far.
    percent
        Progress that the procedure reports.
    data
        Function without arguments that returns everything measured so far, as `open_run` reads it; None if no rows
        are in memory.

    """

    rows: int
    percent: float
    data: Callable[[], xarray.Dataset | None] | None


@dataclass(frozen=True)
class Fitted:
    """A live fit of so many `rows` by the analysis `name` has new values; `results` are named as published."""

    name: str
    fit: FitResult
    results: Mapping[str, Estimate]
    rows: int


@dataclass(frozen=True)
class Ended:
    """The run is over, and its file is closed."""

    run: Run


Event = Started | RowRecorded | Fitted | Ended
Observer = Callable[[Event], None]


class VisaRecord(VisaListener, Protocol):
    """VISA record of a session; also an observer of its runs.

    Attributes
    ----------
    path
        File of the VISA record.
    problem
        Why writing ended early; empty otherwise.

    """

    path: Path
    problem: str

    def __call__(self, event: Event) -> None:
        """Note an event."""


class Observers:
    """Calls every observer with every event.

    Attributes
    ----------
    problems
        Failures of observers, in sentences.

    """

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = list(observers)
        self.problems: list[str] = []

    @property
    def need_fits(self) -> bool:
        """Whether an observer shows live fits: all do that do not say otherwise."""
        return any(getattr(observer, "needs_fits", True) for observer in self._observers)

    @property
    def need_data(self) -> bool:
        """Whether an observer needs the data of a run without a fit."""
        return any(getattr(observer, "needs_data", False) for observer in self._observers)

    def __call__(self, event: Event) -> None:
        """Publish `event`."""
        for observer in list(self._observers):
            try:
                observer(event)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # an observer never changes a run
                # rich calls sys.exit() when its pipe is closed.
                self._observers.remove(observer)
                name = getattr(observer, "__qualname__", type(observer).__qualname__)
                self.problems.append(
                    f"{name} failed with {type(error).__name__}: {error} ({type(event).__name__}); "
                    "the run continued without it"
                )
                logger.warning(self.problems[-1])
