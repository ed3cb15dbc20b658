"""Consecutive runs on one station: measure, make safe, write, fit, enter in the ledger.

The order at the end of a run is fixed: first the bias goes to zero, then the file is closed, then fits and ledger
follow. Each step is attempted even if an earlier one fails, and the most severe failure is raised.
"""

import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import xarray
from pymeasure.experiment import Procedure

from drivers.errors import InstrumentError
from labnis.errors import InterlockError, RequestError, StoppedBySignal
from labnis.experiment.analysis import Analysis, FitContext, analyse, analyses_of, needs_of, published
from labnis.experiment.calibrations import Logbook, Prior, has_prior, latest_prior, passed_over, priors_of
from labnis.experiment.checking import checked
from labnis.experiment.curves import record_of
from labnis.experiment.events import Ended, Observer, Observers, RowRecorded, Started, VisaRecord
from labnis.experiment.failures import collecting, most_severe
from labnis.experiment.fit_context import context_of
from labnis.experiment.goals import PrecisionGoal, goals_of, outcomes_of
from labnis.experiment.known_values import known_values
from labnis.experiment.live_estimates import live_fit_of
from labnis.experiment.live_fit import LiveFit
from labnis.experiment.managed import managed
from labnis.experiment.measuring import measure
from labnis.experiment.preflight import PlannedRun, check_room, needed_roles, planned_duration, planned_run
from labnis.experiment.recorder import Recorder, differences, file_of
from labnis.experiment.request import requested_tags
from labnis.experiment.run import Run
from labnis.experiment.run_plan import RunPlan, code_version, metadata_of
from labnis.fit import FitResult
from labnis.ledger import Ledger, new_batch
from labnis.safety.safeguards import Safeguards
from labnis.safety.stop_requests import StopRequest
from labnis.station import OpenStation
from labnis.storage import NO_FIT, RunWriter, Status, collect_environment
from sim_instruments import Twin

__all__ = ["Session"]

PREDICTED_FROM = ("gap", "normal_resistance", "electron_temperature")
"""Calibrations from which a run's power and temperature are predicted."""


class Session:
    """An open station on which procedures are run; made by `open_session`.

    Attributes
    ----------
    station
        The open station.
    data
        Folder that runs are written to.
    ledger, cooldown
        Ledger and cooldown for the results.
    twin
        The simulated fridge of a dry run; None for the real fridge.
    stop
        Stop requests. One ends the run that is going, or else refuses the next one.
    batch
        Batch id of all results of this session in the ledger.
    may_go_on
        False after a run that did not reach zero and its other ends, or that a stop request or an interlock ended: a
        queue ends there. After another failure it goes on.

    """

    def __init__(  # noqa: PLR0913  # called in one place, open_session
        self,
        station: OpenStation,
        *,
        data: Path,
        ledger: Ledger,
        cooldown: str,
        twin: Twin | None,
        stop: StopRequest,
        observers: Sequence[Observer],
        guard: Callable[[], None],
        record: VisaRecord | None = None,
        on_error: Literal["stop", "skip"] = "stop",
        accept: bool = False,
        chosen: Mapping[str, Prior] | None = None,
    ) -> None:
        self.station = station
        self.data = data
        self.ledger = ledger
        self.cooldown = cooldown
        self.twin = twin
        self.stop = stop
        self.batch = new_batch()
        self.may_go_on = True
        self._observers = Observers(observers)
        self._guard = guard
        self._record = record
        self._on_error = on_error
        self._accept = accept
        self._fits: dict[str, Prior] = {**(chosen or {})}
        self._environment = collect_environment()
        self._free = threading.Lock()
        self._closed = False

    def __repr__(self) -> str:
        mark = ", dry run" if self.twin is not None else ""
        return f"<Session at {self.station.config.path}, cooldown {self.cooldown}{mark}>"

    def close(self) -> None:
        """Stop a run that another thread has going, wait for its end, and refuse any further one."""
        self._closed = True
        self.stop.ask(InterlockError("the session was closed during the run. The bias is at zero."))
        self._free.acquire()  # never released

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One run at a time, which signals ask to stop; a request ends with the run that it stopped."""
        if not self._free.acquire(blocking=False):
            raise RequestError(
                "this session is closed; open another one with labnis.open_session"
                if self._closed
                else "this session is measuring already; it runs one procedure at a time. Nothing was started."
            )
        with self.stop.on_signals():
            try:
                yield
            finally:
                self.stop.clear()
                self._free.release()

    # --- before a run -----------------------------------------------------------------------------------------------

    def prepare(self, procedures: Sequence[Procedure], *, until: Sequence[str] = ()) -> list[PlannedRun]:
        """Check the planned measurements, and open the instruments that they need.

        Parameters
        ----------
        procedures
            Configured, in the order in which they will run.
        until
            Goals at which runs end, such as "gain=0.05dB"; each names a result of one of the procedures.

        Raises
        ------
        RequestError, ConfigurationError, BusyError, StoppedBySignal
            Before any instrument has been moved.

        """
        with self._alone():
            self._open_for(procedures, until)
            if self.stop:
                raise self.stop.error("the bias is at zero, nothing was started")
            latest = {q: self.ledger.latest(self.cooldown, self.simulated, quantity=q) for q in PREDICTED_FROM}
            known = {name: c.value for name, c in latest.items() if c is not None and c.value is not None}
            bath = self.bath_temperature()
        return [planned_run(procedure, self.station.config, known, bath) for procedure in procedures]

    def _open_for(
        self, procedures: Sequence[Procedure], until: Sequence[str]
    ) -> tuple[list[tuple[Analysis, ...]], tuple[PrecisionGoal, ...]]:
        """Check `procedures`, open the instruments that they need, and return the analyses of each, and the goals."""
        known = partial(has_prior, self._fits, self.ledger, self.cooldown, self._accept, dry_run=self.twin is not None)
        asked = checked(procedures, until, self.station.config, known)
        check_room(procedures, self.data)
        self._guard()
        self.station.open(needed_roles(procedures, self.station.config))
        return asked

    def bath_temperature(self) -> float:
        """Present reading of the fridge's thermometer (K); NaN if there is none or it fails."""
        fridge = self.station.roles.get("fridge")
        try:
            return float(fridge.temperature()) if fridge is not None else float("nan")
        except InstrumentError:  # the interlocks decide whether this stops a run
            return float("nan")

    # --- a run ------------------------------------------------------------------------------------------------------

    def run(
        self, procedure: Procedure, *, until: Sequence[str] = (), resume: Path | None = None,
        fixed: Mapping[str, Any] | None = None, priors: Mapping[str, Any] | None = None,
        tags: str | Sequence[str] = (), note: str = "", window: Procedure | None = None,
    ) -> Run:  # fmt: skip
        """Run `procedure`, make safe, write, fit, and enter the results.

        A signal, or `stop.ask` in another thread, ends this run; the next one starts again.

        Parameters
        ----------
        procedure
            Configured.
        until
            Goals at which the run ends, such as "gain=0.05dB".
        resume
            File of an unfinished run of the same procedure to continue, with its own fixed, priors, tags and note. Its
            last point is measured again, and the difference is an event of the run.
        fixed, priors
            Parameters that the fits hold, such as {"gap": 215e-6}, or know with a σ, such as {"dynes": (1e-4, 1e-5)}.
        tags, note
            Words to search for (a text is one of them), and a comment; saved in the file.
        window
            Procedure of a pymeasure Worker that also gets every record and may ask the run to stop; see `managed`.

        Raises
        ------
        RequestError
            The request is refused, a run is going in another thread, or the session is closed; nothing was started.
        StoppedBySignal
            After outputs and data are safe.
        BaseException
            Any failure of procedure, instruments, storage or ledger, also after outputs and data are safe. Of several,
            the most severe: a bias that is not known to be zero, then the first failure, last a request to stop; the
            others are its notes.

        """
        tags, known = requested_tags(tags), known_values(fixed, priors, resume)
        if resume is not None and (tags or note):
            raise RequestError(f"{resume} is resumed with its own tags and note; leave out these. Nothing was started.")
        with self._alone():
            if self.stop:
                self.may_go_on = False
                raise self.stop.error(f"the bias is at zero, {type(procedure).__name__} was not started")
            [analyses], goals = self._open_for([procedure], until)
            context = context_of(procedure, self.station, self.cooldown, self.bath_temperature(), self.twin)
            plan = self._plan(analyses, goals, known.added_to(context, analyses))
            metadata = metadata_of(
                procedure, plan, self.station, environment=self._environment, cooldown=self.cooldown,
                simulated=self.simulated, twin=self.twin, tags=tags, note=note,
            )  # fmt: skip
            writer, earlier = file_of(procedure, metadata, self.data, resume)
            facts = vars(metadata) | {"run_id": writer.run_id, "host": self._environment.host}
            return self._run(procedure, plan, writer, earlier, window, facts)

    def _run(
        self,
        procedure: Procedure,
        plan: RunPlan,
        writer: RunWriter,
        earlier: xarray.Dataset | None,
        window: Procedure | None,
        metadata: Mapping[str, Any],
    ) -> Run:
        self.may_go_on = False
        logbook = Logbook(
            self.ledger, self.cooldown, self.batch, self.data, code_version(self._environment), self.simulated
        )
        if self._record is not None:
            beside = Path(os.path.relpath(self._record.path, writer.path.parent)).as_posix()
            writer.event("visa", "a VISA record is written", record=beside)
        planned = None if not hasattr(procedure, "order_of_points") else procedure.order_of_points().size
        first_point = int(getattr(procedure, "first_point", 0))
        self._observers(
            Started(procedure, writer.path, planned, planned_duration(procedure, self.station.config), first_point)
        )
        live = live_fit_of(plan, self._observers, writer.event, self.twin)
        safeguards = Safeguards(self.station, self.stop, writer.event, on_error=self._on_error)
        recorder = self._recorder(procedure, writer, live, safeguards, earlier)
        leaving, measuring = measure(
            procedure, plan, self.station, recorder=recorder, safeguards=safeguards, stop=self.stop, live=live,
            window=window,
        )  # fmt: skip
        failures = leaving + measuring
        with collecting(failures):
            if self._record is not None and self._record.problem:
                writer.event("visa", self._record.problem)
            writer.flush()
        if live is not None:
            with collecting(failures):
                live.close()
                if live.reached:
                    writer.event("until", f"{live.reached} was reached: the run ends")
        if self.stop:
            bias = "" if failures else "the bias is at zero, "
            failures.append(self.stop.error(f"{bias}{writer.rows} rows are in {writer.path}"))
        fits, problems = dict[str, FitResult](), dict[str, str]()
        data: xarray.Dataset | None = None
        with collecting(failures):
            data = recorder.data()
            fits, problems = _analysed(plan, data, writer)
            if data is not None:
                fits = logbook.compared(plan.analyses, plan.with_failures_told(fits), writer.path, metadata)
        status = self._close(writer, plan, fits, data, failures)
        notes = self._notes(plan, live, problems)
        if status == "done" and planned is not None and writer.rows < planned and not (live and live.reached):
            notes.append(f"only {writer.rows} rows for {planned} planned points: the procedure recorded no more")
        if status == "done":
            self._fits |= priors_of(plan.analyses, fits, writer.path, writer.run_id)
            with collecting(failures):
                notes += logbook.enter(plan.analyses, fits, writer.path, metadata)
        results = published(plan.analyses, fits)
        name = type(procedure).__name__
        primary = fits.get(plan.analyses[0].name) if plan.analyses else None
        reached = outcomes_of(plan.goals, primary, ended=live is not None and bool(live.reached))
        notes += [str(goal) for goal in reached if not goal.reached]
        run = Run(writer.path, writer.run_id, name, status, writer.rows, fits, problems, results, tuple(notes), reached)
        self._observers(Ended(run))
        self.may_go_on = not leaving and not any(isinstance(f, StoppedBySignal | InterlockError) for f in failures)
        if failures:
            raise most_severe(failures)
        return run

    def managed(self, kind: type[Procedure]) -> type[Procedure]:
        """A subclass of `kind` for pymeasure's ManagedWindow, whose runs are those of this session."""
        return managed(kind, self)

    # --- parts of a run ---------------------------------------------------------------------------------------------

    def _plan(self, analyses: tuple[Analysis, ...], goals: Sequence[PrecisionGoal], context: FitContext) -> RunPlan:
        found = {need: self._prior(need) for need in needs_of(analyses)}
        priors = {name: prior for name, prior in found.items() if prior is not None}
        doubtful = passed_over(found, self._fits, self.ledger, self.cooldown, simulated=self.simulated)
        return RunPlan(analyses, goals_of(analyses, goals), priors, context, doubtful)

    def _prior(self, analysis: str) -> Prior | None:
        """The prior `name`: from this session, as measured or chosen, or from the newest calibration of the cooldown.

        A fit that failed in this session is not replaced by an older one.
        """
        if analysis in self._fits:
            return self._fits[analysis]
        wiring, where = self.station.config.wiring_record(), (self.ledger, self.data, analysis, self.cooldown)
        return latest_prior(*where, self._accept, wiring=wiring, simulated=self.simulated)

    def _recorder(
        self,
        procedure: Procedure,
        writer: RunWriter,
        live: LiveFit | None,
        safeguards: Safeguards,
        earlier: xarray.Dataset | None,
    ) -> Recorder:
        # Without a fit or a plot the rows are not held in memory, because there may be any number.
        keep = bool(analyses_of(procedure)) or self._observers.need_data

        def on_overlap(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
            what = "the last point was measured again; differences, new less old, by column"
            writer.event("overlap", what, drift=differences(before, now))

        def on_row(percent: float) -> None:
            event = RowRecorded(writer.rows, percent, recorder.data if keep else None)
            if live is not None:
                live.offer(recorder.data)
            self._observers(event)

        recorder = Recorder(
            writer, procedure, clock=self.station.clock, quality=safeguards.quality.take, keep=keep, earlier=earlier,
            on_overlap=on_overlap, on_row=on_row,
        )  # fmt: skip
        return recorder

    def _close(
        self, writer: RunWriter, plan: RunPlan, fits: Mapping[str, FitResult], data: xarray.Dataset | None,
        failures: list[BaseException]) -> Status:  # fmt: skip
        """Close the file with the fits, the status and the reason of a failure."""
        for one in [analysis for analysis in plan.analyses if analysis.name in fits]:
            with collecting(failures):
                record = record_of(one, fits[one.name], data, self.twin)
                writer.write_fit(one.name, record | {"code_version": code_version(self._environment)})
        status: Status = "done"
        troubles = self._observers.problems
        reason = "; ".join([*troubles, "the data are complete"] if troubles else [])
        if failures:
            status = "aborted" if isinstance(failures[0], StoppedBySignal | InterlockError) else "failed"
            reason = "; also ".join(f"{type(error).__name__}: {error}" for error in failures)
        trace = "".join(line for error in failures for line in traceback.format_exception(error))
        with collecting(failures):
            writer.finish(status, reason, traceback=trace)
            return status
        return "failed"

    def _notes(self, plan: RunPlan, live: LiveFit | None, problems: Mapping[str, str]) -> list[str]:
        notes = plan.notes(self._fits)
        if live is not None and live.reached:
            notes.append(f"ended when {live.reached} was reached")
        if live is not None and live.failure and not problems:
            notes.append(f"the last live fit failed: {live.failure}; the fit at the end did not")
        return notes + self._observers.problems

    @cached_property  # read once: later the instruments may be busy or closed
    def simulated(self) -> bool:
        """Whether the data are simulated: in a dry run, or according to the identity of an instrument."""
        return self.station.is_twin or self.twin is not None


def _analysed(
    plan: RunPlan, data: xarray.Dataset | None, writer: RunWriter
) -> tuple[dict[str, FitResult], dict[str, str]]:
    """The fits of `data`, and why others are missing, which goes into the file, too."""
    fits, problems = analyse(plan.analyses, data, plan.context, plan.known)
    for analysis, problem in problems.items():
        writer.event(NO_FIT, problem, analysis=analysis)
    return fits, problems
