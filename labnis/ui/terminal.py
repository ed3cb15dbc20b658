"""The live display of a run in a terminal: progress, time to go, and the present estimates."""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from labnis.experiment.analysis import analyses_of
from labnis.experiment.events import Ended, Event, Fitted, RowRecorded, Started
from labnis.experiment.preflight import PlannedRun
from labnis.experiment.run import Run
from labnis.fit import number_text
from labnis.station import StationConfig
from labnis.ui.compliance import compliance_text
from labnis.ui.estimates import estimate_table
from labnis.ui.output import duration_text, print_table, shown, width_of

__all__ = ["TerminalDisplay", "preflight_text"]


def preflight_text(plans: Sequence[PlannedRun], config: StationConfig, roles: Sequence[str], *, simulated: bool) -> str:
    """The planned runs, the station's limits, and the instruments in the `roles`: one statement a line.

    What is not known is left out; that the power in the device is not known is stated.
    """
    limits, kind = config.limits, " simulated" if simulated else ""
    lines = [line for plan in plans for line in (plan.name, *(f"  {text}" for text in _planned(plan, kind)))]
    total = sum(plan.duration for plan in plans)
    if len(plans) > 1 and math.isfinite(total):
        lines.append(f"{len(plans)} runs: {duration_text(total)} of{kind} time")
    if any(math.isfinite(p.largest_bias) and math.isnan(p.expectation.dissipated_power) for p in plans):
        lines.append("power in the device: not known, as this cooldown has no normal resistance yet")
    return "\n".join(
        [
            *lines,
            f"limits of {config.path}:",
            f"  bias ±{number_text(limits.maximum_bias, 'V')}, {compliance_text(config)}",
            f"  ramps {number_text(limits.ramp_rate, 'V/s')}, steps {number_text(limits.maximum_step, 'V')} at most",
            "instruments: " + ", ".join(f"{config.roles[role].instrument} ({role})" for role in roles),
        ]
    )


def _planned(plan: PlannedRun, kind: str) -> list[str]:
    """Statements about one run, as far as they are known."""
    expected = plan.expectation
    hot = "kT > Δ" if math.isinf(expected.electron_temperature) else number_text(expected.electron_temperature, "K")
    statements = {
        "points": "?" if plan.points is None else str(plan.points),
        "|bias| up to": number_text(plan.largest_bias, "V"),
        "the junctions reach their gap at": number_text(expected.edge, "V"),
        "between two biases up to": number_text(plan.largest_step, "V"),
        **{
            f"{role}:": f"{number_text(low, unit)} to {number_text(high, unit)}"
            for role, (low, high, unit) in plan.moves.items()
        },
        "power in the device up to": number_text(expected.dissipated_power, "W"),
        "cooling power of electrons as warm as at zero bias up to": number_text(expected.cooling_power, "W"),
        "electrons at the largest bias:": hot,
        f"{kind} time:".strip(): duration_text(plan.duration),
        "disk up to": number_text(plan.room, "B"),
    }
    told = [f"{name} {text}" for name, text in statements.items() if text != "?"]
    return [*told, *_path(plan), *plan.notes]


def _path(plan: PlannedRun) -> list[str]:
    """How the points of a bias sweep are measured: step by step, or by the source itself, and what that saves."""
    if math.isnan(plan.largest_bias):
        return []
    ahead = plan.measured_ahead
    if ahead is None:
        return ["each point is measured step by step, by messages of its own"]
    return [
        f"the source measures {ahead.points} points at once by itself, without messages for each, which saves about "
        f"{number_text(ahead.saved, 's')} of the sweep; no interlock acts in those {number_text(ahead.seconds, 's')}"
    ]


class TerminalDisplay:
    """Observer that shows runs on `console`; if that is not a terminal, only a line per run.

    With `quiet` it shows neither progress nor results, but problems and warnings.

    Attributes
    ----------
    simulated
        Whether the data are marked as simulated; known once the instruments are open.
    shows_results
        Whether a complete run is shown with its results; False where the command shows them next.

    """

    def __init__(self, console: Console, *, simulated: bool, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self.simulated, self.shows_results = simulated, True
        self._run: Run | None = None
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
        )
        self._task: TaskID | None = None
        self._duration = math.nan
        self._points: int | None = None
        self._fits = False
        self._live: Live | None = None

    @property
    def needs_fits(self) -> bool:
        """Whether anybody sees the present estimates."""
        return self._console.is_terminal and not self._quiet

    def __call__(self, event: Event) -> None:
        """Show `event`."""
        match event:
            case Started() if not self._quiet:
                self._start(event)
            case RowRecorded() if self._task is not None:
                self._progress.update(self._task, completed=event.rows, left=self._left(event))
            case Fitted() if self._live is not None:
                self._live.update(Group(self._progress, self._so_far(event)))
            case Ended():
                self._finish(event.run)

    def _start(self, event: Started) -> None:
        name = type(event.procedure).__name__
        self._duration, self._points = event.duration, event.points
        self._fits = bool(analyses_of(event.procedure))
        mark = "[bold magenta]SIMULATED[/] " if self.simulated else ""
        self._task = self._progress.add_task(f"{mark}{name}", total=event.points, left="")
        self._console.print(f"{mark}{name} → {escape(shown(event.path))}", soft_wrap=True)
        self._live = Live(self._progress, console=self._console, transient=True, refresh_per_second=8)
        self._live.start()

    def _so_far(self, event: Fitted) -> Table:
        """The estimates of a live fit, marked where it has warnings."""
        title, doubtful = f"So far, of {event.rows} rows, ± noise alone", event.results if event.fit.warnings else ()
        return estimate_table(event.results, doubtful=doubtful, title=title, width=self._console.width)

    def _left(self, event: RowRecorded) -> str:
        """What is still to be waited for."""
        if event.rows == self._points and self._fits:
            return "fitting"
        remaining = self._duration * (1 - event.percent / 100)
        return f"{duration_text(remaining)} to go" if math.isfinite(remaining) else ""

    def _finish(self, run: Run) -> None:
        """Show the final estimates."""
        if self._live is not None:
            self._live.stop()
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._live, self._task = None, None
        self._run = run
        if run.results and (self.shows_results or run.status != "done"):
            self._show_results()
        elif not self._quiet:
            self._console.print(f"{run.rows} rows, {run.status}")
        for name, problem in run.problems.items():
            self._say(f"no fit ({name}): {problem}")
        for note in run.notes:
            self._say(f"note: {note}")
        for name, fit in run.fits.items():
            for note in fit.notes:
                self._say(f"note ({name}): {note}")
            for warning in fit.warnings:
                self._say(f"warning ({name}): {warning}")

    @contextmanager
    def results_before_errors(self) -> Iterator[None]:
        """Show the results of the last run, unless they were, where what follows it fails."""
        try:
            yield
        except BaseException:
            self._show_results()
            raise

    def _show_results(self) -> None:
        run, self._run = self._run, None
        if run is not None and run.results and not self._quiet:
            table = estimate_table(run.results, doubtful=run.doubtful, width=width_of(sys.stderr))
            print_table(table, err=True)

    def _say(self, text: str) -> None:
        self._console.print(shown(text), style="yellow", markup=False)
