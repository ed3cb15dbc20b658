"""The live display of a run in a terminal: progress, time to go, and every estimate as it tightens."""

import math
from collections.abc import Sequence
from pathlib import Path

from pymeasure.experiment import Procedure
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from labnis.experiment.analysis import estimator_for
from labnis.experiment.outcome import RunOutcome
from labnis.experiment.preflight import PlannedRun
from labnis.fit import Estimate, FitResult, number_text
from labnis.station import StationConfig

__all__ = ["TerminalDisplay", "contract_table", "estimate_table", "shown"]


def estimate_table(estimates: dict[str, Estimate], *, truth: dict[str, float] | None = None, title: str = "") -> Table:
    """Table of results; with `truth`, the true values and the deviations in σ beside them."""
    table = Table(title=title or None, title_justify="left")
    table.add_column("result")
    table.add_column("value ± σ", justify="right")
    if truth is not None:
        table.add_column("truth", justify="right")
        table.add_column("off by", justify="right")
    for name, estimate in estimates.items():
        cells = [name.replace("_", " "), str(estimate)]
        if truth is not None:
            true = Estimate(truth[name], 0.0, estimate.unit)
            cells += [str(true), f"{(estimate.value - truth[name]) / estimate.sigma:+.1f} σ"]
        table.add_row(*cells)
    return table


def shown(text: object) -> str:
    """Somebody's text as a terminal may safely get it: what it cannot print, or would obey, is written out."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in str(text))


def contract_table(plans: Sequence[PlannedRun], config: StationConfig, roles: Sequence[str]) -> Table:
    """What is about to be done: each run, the limits it keeps, and the instruments in the `roles` that it uses."""
    limits = config.limits
    instruments = ", ".join(f"{config.roles.filled()[role]} ({role})" for role in roles)
    total = sum(plan.duration for plan in plans)
    table = Table(
        title=escape(f"{config.path}: {_clock(total)} in all"),
        title_justify="left",
        caption=f"limits: bias ±{number_text(limits.maximum_bias, 'V')}, "
        f"ramps {number_text(limits.ramp_rate, 'V/s')} in steps of "
        f"{number_text(limits.maximum_step, 'V')} at most, compliance {number_text(limits.compliance, 'A')}\n"
        f"instruments: {escape(instruments)}",
        caption_justify="left",
    )
    for heading in (
        "run",
        "points",
        "largest bias",
        "step",
        "power in device",
        "cooling power",
        "T_e there",
        "disk",
        "time",
    ):
        table.add_column(heading, justify="left" if heading == "run" else "right")
    for plan in plans:
        expected = plan.expectation
        table.add_row(
            plan.name,
            "?" if plan.points is None else str(plan.points),
            number_text(plan.largest_bias, "V"),
            number_text(plan.largest_step, "V"),
            number_text(expected.dissipated_power, "W"),
            number_text(expected.cooling_power, "W"),
            "kT > Δ" if math.isinf(expected.electron_temperature) else number_text(expected.electron_temperature, "K"),
            number_text(plan.room, "B"),
            _clock(plan.duration),
        )
    return table


class TerminalDisplay:
    """Shows runs on `console`; without a terminal there, only a line per run."""

    def __init__(self, console: Console, *, simulated: bool) -> None:
        self._console = console
        self._mark = "[bold magenta]SIMULATED[/] " if simulated else ""
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}")
        )
        self._task: TaskID | None = None
        self._duration: float | None = None
        self._wanted: tuple[str, ...] = ()
        self._live: Live | None = None
        self._latest: dict[str, Estimate] = {}

    def started(self, procedure: Procedure, path: Path) -> None:
        """Show the run's name, points and duration."""
        name = type(procedure).__name__
        estimator = estimator_for(name)
        self._wanted = estimator.results if estimator else ()
        self._latest = {}
        points = getattr(procedure, "points", None)
        try:
            self._duration = float(procedure.get_estimates())
        except (NotImplementedError, TypeError):  # a third-party procedure need not know
            self._duration = None
        self._task = self._progress.add_task(f"{self._mark}{name}", total=points, left="")
        self._console.print(f"{self._mark}{name} → {path}", highlight=False, soft_wrap=True)
        self._live = Live(self._progress, console=self._console, transient=True, refresh_per_second=8)
        self._live.start()

    def progressed(self, percent: float, rows: int) -> None:
        """Move the bar."""
        if self._task is None:
            return
        left = "" if self._duration is None else f"{_clock(self._duration * (1 - percent / 100))} to go"
        self._progress.update(self._task, completed=rows, left=left)

    def estimated(self, fit: FitResult) -> None:
        """Show the newest estimates under the bar."""
        self._latest = {name: fit[name] for name in self._wanted}
        if self._live is not None:
            self._live.update(Group(self._progress, estimate_table(self._latest)))

    def finished(self, outcome: RunOutcome) -> None:
        """Leave the final estimates on the screen."""
        if self._live is not None:
            self._live.stop()
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._live, self._task = None, None
        if outcome.results:
            self._console.print(estimate_table(dict(outcome.results)))
        else:
            self._console.print(f"{outcome.rows} rows, {outcome.status}", highlight=False)
        if outcome.problem:
            self._say(f"no fit: {outcome.problem}")
        for note in outcome.notes:
            self._say(f"note: {note}")
        for warning in outcome.fit.warnings if outcome.fit else ():
            self._say(f"warning: {warning}")

    def _say(self, text: str) -> None:
        self._console.print(text, style="yellow", highlight=False, soft_wrap=True, markup=False)


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
