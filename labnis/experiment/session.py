"""One run, from the request to the ledger: open, measure, make safe, keep, fit, record.

The order of the end is fixed: the bias is at zero before anything else is tried, then the data are closed, then fits
and ledger follow. Each of these is attempted whatever the others did, and the gravest failure is what the user sees.
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pymeasure.experiment import Procedure

from drivers.errors import ReadingError
from labnis import __version__
from labnis.errors import InterlockError, RequestError, StoppedBySignal
from labnis.experiment.analysis import Columns, Estimator, estimator_for
from labnis.experiment.calibrations import EarlierFit, calibrations, latest_fit
from labnis.experiment.failures import gravest, keeping
from labnis.experiment.goals import PrecisionGoal, check_goals, goals_of, is_informed
from labnis.experiment.outcome import Display, GuardedDisplay, RunOutcome
from labnis.experiment.preflight import check_request, check_room, needed_roles
from labnis.experiment.recorder import Recorder, coordinate_of, declared_columns
from labnis.experiment.run_fit import RunFit
from labnis.fit import Estimate, FitResult
from labnis.ledger import Ledger, LedgerUnavailableError, new_batch
from labnis.ledger.pending import keep_pending
from labnis.safety.guardian import guarded
from labnis.safety.safeguards import Safeguards, Stopped
from labnis.safety.stop_requests import StopRequest, stop_on_signals
from labnis.station import OpenStation, StationConfig, open_station
from labnis.storage import (
    Environment,
    RunMetadata,
    RunWriter,
    Status,
    collect_environment,
    open_run,
    read_metadata,
    resume_differences,
)
from labnis.visa_log.recording import VisaRecord
from labnis.visa_log.run_digests import note_problem, note_run

__all__ = ["Bench", "Simulation", "open_bench"]


@dataclass(frozen=True)
class Simulation:
    """What stands in for the fridge in a dry run: where the instruments are, and what the record keeps of the twin."""

    visalib: str
    addresses: Mapping[str, str]
    seed: int
    truth_text: str


@contextmanager
def open_bench(
    config: StationConfig,
    procedures: Sequence[Procedure],
    *,
    data: Path,
    ledger: Ledger,
    cooldown: str,
    simulation: Simulation | None = None,
    goals: Sequence[PrecisionGoal] = (),
    display: Display,
    record: VisaRecord | None = None,
) -> Iterator["Bench"]:
    """Check the requests, open the station for all of them, and hand out a bench to run them on.

    Raises
    ------
    RequestError, ConfigurationError, BusyError
        Before any instrument has been moved.

    """
    check_goals(goals, procedures)
    for procedure in procedures:
        check_request(procedure, config)
    check_room(procedures, data)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        if simulation is None:  # the twin of a dry run lives in this process and dies with it
            stack.enter_context(guarded(config.path, on_loss=lambda why: stop.ask(InterlockError(why))))
        station = stack.enter_context(
            open_station(
                config,
                required_roles=needed_roles(procedures, config),
                visalib=simulation.visalib if simulation else None,
                addresses=simulation.addresses if simulation else None,
                record=record,
            )
        )
        yield Bench(station, data, ledger, cooldown, simulation, display, stop, tuple(goals), record=record)


@dataclass
class Bench:
    """An open station on which procedures are run, one after the other."""

    station: OpenStation
    data: Path
    ledger: Ledger
    cooldown: str
    simulation: Simulation | None
    display: Display
    stop: StopRequest
    goals: tuple[PrecisionGoal, ...] = ()
    """A run ends as soon as those of them are reached that it can reach."""
    fits: dict[str, EarlierFit] = field(default_factory=dict)
    """Fits made on this bench, by the estimator's name: priors of those that follow."""
    record: VisaRecord | None = None
    """Where the VISA traffic is recorded, if it is."""
    batch: str = field(default_factory=new_batch)
    """What all results obtained on this bench share in the ledger."""
    environment: Environment = field(default_factory=collect_environment)

    def bath_temperature(self) -> float:
        """What the fridge's thermometer reads now (K); NaN where there is none or it does not read."""
        fridge = self.station.roles.get("fridge")
        try:
            return fridge.temperature() if fridge is not None else float("nan")
        except ReadingError:  # whether that stops a run is for the interlocks to say
            return float("nan")

    def run(self, procedure: Procedure, *, resume: Path | None = None) -> RunOutcome:
        """Run `procedure` to its end, whatever the end.

        Parameters
        ----------
        procedure
            Configured.
        resume
            File of an unfinished run of the same procedure: it is continued. Its last point is measured again, and the
            difference is an event of the run.

        Raises
        ------
        StoppedBySignal
            After outputs and data are safe.
        BaseException
            What the procedure, an instrument, the storage or the ledger raised, likewise afterwards. If several did,
            the gravest: a bias that is not known to be zero, then what failed first, and last that the run was asked
            to stop; the others are its notes.

        """
        name = type(procedure).__name__
        if self.stop:
            raise self.stop.error(f"the bias is at zero, {name} was not begun")
        estimator = estimator_for(name)
        prior = self._earlier_fit(estimator)
        writer, earlier_rows = self._file(procedure, self._metadata(procedure, estimator, prior), resume)
        note_run(self.record, procedure, writer)
        display = GuardedDisplay(self.display)
        display.started(procedure, writer.path)
        earlier = prior.fit if prior else None
        goals = goals_of(procedure, self.goals)
        # What a dry run foretells must not depend on how fast this machine fits.
        at_once = bool(goals) and self.simulation is not None
        wiring = self.station.config.wiring
        fitting: RunFit | None = None
        if estimator is not None:
            fitting = RunFit(estimator, earlier, wiring, goals, on_update=display.estimated, at_once=at_once)
        safeguards = Safeguards(self.station, self.stop, writer.event)
        recorder = self._recorder(procedure, writer, fitting, display, safeguards, earlier_rows)
        failures = self._measure(procedure, recorder, safeguards, fitting)
        with keeping(failures):  # before anything that may take its time
            note_problem(self.record, writer)
            writer.flush()
        if fitting is not None:
            fitting.stop()
        if fitting is not None and fitting.reached:
            with keeping(failures):
                writer.event("until", f"{fitting.reached} was reached: the run ends")
        if self.stop and not failures:
            failures.append(self.stop.error(f"the bias is at zero, {writer.rows} rows are in {writer.path}"))
        fit, problem = fitting.final(recorder.columns()) if fitting else (None, "")
        status = self._keep(writer, estimator, fit, display, failures)
        results = {result: fit[result] for result in estimator.results} if fit and estimator else {}
        notes = self._notes(estimator, prior, fitting, display, problem)
        if status == "done" and estimator is not None:
            self.fits[estimator.name] = EarlierFit(fit, writer.path, writer.run_id)
            with keeping(failures):
                notes += self._enter_results(writer, fit, results)
        display.finished(outcome := RunOutcome(writer.path, status, writer.rows, fit, results, problem, notes))
        if failures:
            raise gravest(failures)
        return outcome

    # --- parts of a run -------------------------------------------------------------------------------------------

    def _measure(
        self, procedure: Procedure, recorder: Recorder, safeguards: Safeguards, fitting: RunFit | None
    ) -> list[BaseException]:
        """Startup, execute, and on every way out the bias to zero before the procedure's own shutdown.

        Returns
        -------
        list
            What was raised, the gravest first.

        """
        measuring: list[BaseException] = []
        leaving: list[BaseException] = []
        procedure.roles = safeguards.roles
        procedure.emit = recorder.emit
        procedure.should_stop = lambda: safeguards.should_stop() or (fitting is not None and bool(fitting.reached))
        if fitting is not None and is_informed(procedure):
            procedure.choose = fitting.informed_order(procedure, recorder.columns)
        procedure.is_last = lambda: True
        procedure.status = Procedure.RUNNING
        with keeping(measuring), suppress(Stopped):
            safeguards.check_before_start()
            procedure.startup()
            if not self.stop:
                procedure.evaluate_metadata()
                procedure.execute()
        with keeping(leaving):
            if self.station.bias.in_use:
                self.station.bias.shutdown()
        with keeping(measuring):
            procedure.shutdown()
        return leaving + measuring

    def _file(
        self, procedure: Procedure, metadata: RunMetadata, resume: Path | None
    ) -> tuple[RunWriter, Columns | None]:
        """A new file, or the one to go on with and what it holds.

        Raises
        ------
        RequestError
            Where the unfinished run was measured under other conditions; names each difference.

        """
        if resume is None:
            columns = declared_columns(procedure)
            return RunWriter(self.data, metadata, columns, coordinate=coordinate_of(procedure)), None
        differences = resume_differences(read_metadata(resume), metadata)
        if differences:
            listed = "".join(f"\n  {difference}" for difference in differences)
            raise RequestError(f"{resume} cannot be resumed, for not everything is as it was:{listed}")
        before = open_run(resume)
        if not before.attrs["rows"]:
            raise RequestError(f"{resume} has no rows to go on from; start a new run instead")
        points = coordinate_of(procedure)
        rows = {str(name): column.values for name, column in before.variables.items() if column.dims[:1] == (points,)}
        procedure.first_point = before.attrs["rows"] - 1
        return RunWriter.resume(resume), rows

    def _recorder(
        self,
        procedure: Procedure,
        writer: RunWriter,
        fitting: RunFit | None,
        display: GuardedDisplay,
        safeguards: Safeguards,
        earlier: Columns | None,
    ) -> Recorder:
        percent = 0.0

        def on_overlap(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
            scalars = [name for name in now if np.ndim(now[name]) == 0]
            drift = {name: float(now[name]) - float(before[name]) for name in scalars}
            writer.event("overlap", "the last point was measured again; now less then, by column", drift=drift)

        def on_row(rows: int) -> None:
            if fitting is not None:
                fitting.offer(recorder.columns)
            display.progressed(percent, rows)

        def on_progress(value: float) -> None:
            nonlocal percent
            percent = value
            display.progressed(percent, writer.rows)

        recorder = Recorder(
            writer,
            procedure,
            quality=safeguards.quality.take,
            keep=fitting is not None,
            earlier=earlier,
            on_overlap=on_overlap,
            on_row=on_row,
            on_progress=on_progress,
        )
        return recorder

    def _keep(
        self,
        writer: RunWriter,
        estimator: Estimator | None,
        fit: FitResult | None,
        display: GuardedDisplay,
        failures: list[BaseException],
    ) -> Status:
        """Close the file with the fit, the status and, where there is one, the reason."""
        if fit is not None and estimator is not None:
            with keeping(failures):
                writer.write_fit(estimator.name, fit.as_record() | {"code_version": self._code_version})
        status: Status = "done"
        reason = display.problem and f"{display.problem}; the data are complete"
        if failures:
            status = "aborted" if isinstance(failures[0], StoppedBySignal | InterlockError) else "failed"
            reason = "; also ".join(f"{type(error).__name__}: {error}" for error in failures)
        trace = "".join(line for error in failures for line in traceback.format_exception(error))
        with keeping(failures):
            writer.finish(status, reason, traceback=trace)
            return status
        return "failed"

    def _notes(
        self,
        estimator: Estimator | None,
        prior: EarlierFit | None,
        fitting: RunFit | None,
        display: GuardedDisplay,
        problem: str,
    ) -> tuple[str, ...]:
        notes = []
        if estimator is not None and prior is not None and estimator.prior not in self.fits:
            notes.append(f"builds on the {estimator.prior} fit of the earlier run {prior.run_id}, {prior.run_path}")
        if fitting is not None and fitting.reached:
            notes.append(f"ended when {fitting.reached} was reached")
        if fitting is not None and fitting.failure and not problem:
            notes.append(f"the live fit failed at last: {fitting.failure}; the fit at the end did not")
        if display.problem:
            notes.append(display.problem)
        return tuple(notes)

    def _earlier_fit(self, estimator: Estimator | None) -> EarlierFit | None:
        """The fit this one builds on: from this bench, or from the newest calibration of the cooldown.

        A fit that was tried on this bench and failed is not replaced by an older one.
        """
        if estimator is None or estimator.prior is None:
            return None
        if estimator.prior in self.fits:
            return self.fits[estimator.prior]
        return latest_fit(self.ledger, self.data, estimator.prior, self.cooldown, simulated=self.simulated)

    def _metadata(self, procedure: Procedure, estimator: Estimator | None, prior: EarlierFit | None) -> RunMetadata:
        config = self.station.config
        used: list[dict[str, str]] = []
        if estimator is not None and prior is not None and prior.fit is not None:
            used.append({"fit": str(estimator.prior), "run": str(prior.run_path), "run_id": prior.run_id})
        return RunMetadata(
            procedure=type(procedure).__name__,
            procedure_class=f"{type(procedure).__module__}.{type(procedure).__qualname__}",
            parameters=procedure.parameter_values(),
            start=datetime.now().astimezone(),
            environment=self.environment,
            simulated=self.simulated,
            wiring=asdict(config.wiring),
            station_snapshot=self.station.snapshot(),
            station_text=config.public_text,
            cooldown=self.cooldown,
            instruments=self.station.identities(),
            calibrations=used,
            seed=self.simulation.seed if self.simulation else None,
            truth_text=self.simulation.truth_text if self.simulation else None,
        )

    def _enter_results(
        self, writer: RunWriter, fit: FitResult | None, results: Mapping[str, Estimate]
    ) -> tuple[str, ...]:
        """Every result into the ledger; notes where that has to wait."""
        if fit is None:
            return ()
        entries = calibrations(fit, results, writer, code_version=self._code_version, simulated=self.simulated)
        try:
            self.ledger.add_calibrations(entries, cooldown=self.cooldown, batch=self.batch)
        except LedgerUnavailableError as error:
            path = keep_pending(self.data, entries, cooldown=self.cooldown, batch=self.batch)
            return (f"{error}; the results wait in {path} and are entered by the next labnis command",)
        return ()

    @cached_property  # asked of the instruments once: afterwards they may be busy, or gone
    def simulated(self) -> bool:
        """Whether the data are the twin's: in a dry run, or because an instrument says that it is simulated."""
        return self.simulation is not None or self.station.is_twin

    @property
    def _code_version(self) -> str:
        """Version, commit, and whether the checkout had uncommitted changes."""
        environment = self.environment
        changed = "+changes" if environment.git_dirty else ""
        return f"{__version__} ({environment.git_commit[:12]}{changed})"
