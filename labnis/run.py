"""One run, from the request to the ledger: open, measure, make safe, keep, fit, record.

The order of the end is fixed: the bias is at zero before anything else is tried, then the data are closed, then fits
and ledger follow. Each of these is attempted whatever the others did, and the first failure is what the user sees.
"""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pymeasure.experiment import Procedure

from labnis import __version__
from labnis.analysis import ESTIMATORS, Columns, Estimator, estimator_for
from labnis.errors import RequestError, StoppedBySignal
from labnis.fit import Estimate, FitError, FitResult
from labnis.ledger import Ledger, NewCalibration, new_batch
from labnis.live import LiveFit
from labnis.recording import Recorder, coordinate_of, declared_columns
from labnis.station import OpenStation, StationConfig, open_station
from labnis.stopping import StopRequest, stop_on_signals
from labnis.storage import Environment, RunMetadata, RunWriter, Status, collect_environment, read_fits

__all__ = ["Bench", "Display", "RunOutcome", "Simulation", "check_request", "open_bench"]


class Display(Protocol):
    """Whoever watches runs. What it raises or shows never changes a run."""

    def started(self, procedure: Procedure, path: Path) -> None:
        """A run begins."""

    def progressed(self, percent: float, rows: int) -> None:
        """A row is recorded."""

    def estimated(self, fit: FitResult) -> None:
        """A live fit has new values."""

    def finished(self, outcome: "RunOutcome") -> None:
        """The run is over."""


@dataclass(frozen=True)
class Simulation:
    """What stands in for the fridge in a dry run: where the instruments are, and what the record keeps of the twin."""

    visalib: str
    addresses: Mapping[str, str]
    seed: int
    truth_text: str


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes
    ----------
    results
        Result name → estimate; empty where there is no estimator or no fit.
    problem
        Why there is no fit, or what the live fit stumbled over; empty otherwise.

    """

    path: Path
    status: Status
    rows: int
    fit: FitResult | None
    results: Mapping[str, Estimate]
    problem: str = ""


def check_request(procedure: Procedure, config: StationConfig) -> None:
    """Refuse a measurement that the station's limits forbid, before anything is opened.

    Raises
    ------
    RequestError
        Naming the bias and the limit.

    """
    planned = getattr(procedure, "biases", None)
    if planned is None:
        return
    largest = float(np.max(np.abs(planned())))
    limit = config.limits.maximum_bias
    if not largest <= limit:
        raise RequestError(
            f"{type(procedure).__name__} would go to a bias of {largest:g} V; labnis.limits.maximum_bias in "
            f"{config.path} allows {limit:g} V. No instrument was touched."
        )


def needed_roles(procedures: Sequence[Procedure], config: StationConfig) -> list[str]:
    """Roles that the procedures require, and those they would use and the station has."""
    available = config.roles.filled()
    required = {role for p in procedures for role in getattr(p, "REQUIRES", ("bias",))}
    used = {role for p in procedures for role in getattr(p, "USES", ()) if role in available}
    return sorted(required | used)


@contextmanager
def open_bench(
    config: StationConfig,
    procedures: Sequence[Procedure],
    *,
    data: Path,
    ledger: Ledger,
    cooldown: str,
    simulation: Simulation | None = None,
    display: Display,
) -> Iterator["Bench"]:
    """Check the requests, open the station for all of them, and hand out a bench to run them on.

    Raises
    ------
    RequestError, ConfigurationError, BusyError
        Before any instrument has been moved.

    """
    for procedure in procedures:
        check_request(procedure, config)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        station = stack.enter_context(
            open_station(
                config,
                required_roles=needed_roles(procedures, config),
                visalib=simulation.visalib if simulation else None,
                addresses=simulation.addresses if simulation else None,
            )
        )
        yield Bench(station, data, ledger, cooldown, simulation, display, stop)


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
    fits: dict[str, FitResult] = field(default_factory=dict)
    """Fits made on this bench, by the estimator's name: priors of those that follow."""
    batch: str = field(default_factory=new_batch)
    """What all results obtained on this bench share in the ledger."""
    environment: Environment = field(default_factory=collect_environment)

    def run(self, procedure: Procedure) -> RunOutcome:
        """Run `procedure` to its end, whatever the end.

        Raises
        ------
        StoppedBySignal
            After outputs and data are safe.
        Exception
            What the procedure or an instrument raised, likewise afterwards.

        """
        estimator = estimator_for(type(procedure).__name__)
        prior, used = self._prior(estimator)
        writer = RunWriter(
            self.data,
            self._metadata(procedure, used),
            declared_columns(procedure),
            coordinate=coordinate_of(procedure),
        )
        self.display.started(procedure, writer.path)
        live = LiveFit(self._fit_function(estimator, prior), self.display.estimated) if estimator else None
        recorder = self._recorder(writer, live)
        problem: BaseException | None = None
        try:
            self._measure(procedure, recorder)
        except Exception as error:  # noqa: BLE001  # raised again below, when everything is safe and kept
            problem = error
        if live is not None:
            live.stop()
        if problem is None and self.stop:
            problem = StoppedBySignal(
                int(self.stop.signum or 0), f"the bias is at zero, {writer.rows} rows are in {writer.path}"
            )
        return self._conclude(writer, recorder, estimator, prior, problem)

    # --- parts of a run -------------------------------------------------------------------------------------------

    def _measure(self, procedure: Procedure, recorder: Recorder) -> None:
        """Startup, execute, and on every way out the bias to zero before the procedure's own shutdown."""
        procedure.roles = self.station.roles
        procedure.emit = recorder.emit
        procedure.should_stop = lambda: bool(self.stop)
        with ExitStack() as stack:
            stack.callback(procedure.shutdown)
            stack.callback(self._bias_to_zero)
            procedure.startup()
            if not self.stop:
                procedure.execute()

    def _bias_to_zero(self) -> None:
        if self.station.bias.in_use:
            self.station.bias.shutdown()

    def _recorder(self, writer: RunWriter, live: LiveFit | None) -> Recorder:
        percent = 0.0

        def on_row(rows: int) -> None:
            self.display.progressed(percent, rows)
            if live is not None:
                live.offer(recorder.columns)

        def on_progress(value: float) -> None:
            nonlocal percent
            percent = value
            self.display.progressed(percent, writer.rows)

        recorder = Recorder(writer, on_row=on_row, on_progress=on_progress)
        return recorder

    def _conclude(
        self,
        writer: RunWriter,
        recorder: Recorder,
        estimator: Estimator | None,
        prior: FitResult | None,
        problem: BaseException | None,
    ) -> RunOutcome:
        """Data first: rows and status are on disk before the final fit is tried."""
        status: Status = "done" if problem is None else "aborted" if isinstance(problem, StoppedBySignal) else "failed"
        writer.flush()
        fit, trouble = self._final_fit(estimator, prior, recorder.columns())
        if fit is not None and estimator is not None:
            writer.write_fit(estimator.name, fit.as_record() | {"code_version": self._code_version})
        reason = "" if problem is None else f"{type(problem).__name__}: {problem}"
        trace = "" if problem is None else "".join(traceback.format_exception(problem))
        writer.finish(status, reason, traceback=trace)
        results = {name: fit[name] for name in estimator.results} if fit is not None and estimator is not None else {}
        outcome = RunOutcome(writer.path, status, writer.rows, fit, results, trouble)
        self.display.finished(outcome)
        if problem is not None:
            raise problem
        if fit is not None and estimator is not None:
            self.fits[estimator.name] = fit
            self._log(writer, fit, results)
        return outcome

    def _final_fit(
        self, estimator: Estimator | None, prior: FitResult | None, columns: Columns
    ) -> tuple[FitResult | None, str]:
        if estimator is None or not columns:
            return None, ""
        try:
            return self._fit_function(estimator, prior)(columns, None), ""
        except FitError as error:
            return None, str(error)
        except Exception as error:  # noqa: BLE001  # the data are safe; a failing fit is reported, not fatal
            return None, f"{type(error).__name__}: {error}"

    def _fit_function(
        self, estimator: Estimator, prior: FitResult | None
    ) -> Callable[[Columns, FitResult | None], FitResult]:
        wiring = self.station.config.wiring
        return lambda columns, start: estimator.fit(columns, wiring, prior, start)

    def _prior(self, estimator: Estimator | None) -> tuple[FitResult | None, Sequence[Mapping[str, Any]]]:
        """The earlier fit this one builds on: from this bench, or from the newest calibration of the cooldown."""
        if estimator is None or estimator.prior is None:
            return None, ()
        if estimator.prior in self.fits:
            return self.fits[estimator.prior], ()
        source = next(e for e in ESTIMATORS.values() if e.name == estimator.prior)
        latest = self.ledger.latest(source.results[0], self.cooldown, self.simulation is not None)
        if latest is None:
            return None, ()
        fit = FitResult.from_record(read_fits(latest.run_path)[estimator.prior])
        return fit, [{"fit": estimator.prior, "run": str(latest.run_path), "run_id": latest.run_id}]

    def _metadata(self, procedure: Procedure, used: Sequence[Mapping[str, Any]]) -> RunMetadata:
        config = self.station.config
        return RunMetadata(
            procedure=type(procedure).__name__,
            parameters=procedure.parameter_values(),
            start=datetime.now().astimezone(),
            environment=self.environment,
            simulated=self.simulation is not None,
            wiring=asdict(config.wiring),
            station_snapshot=self.station.snapshot(),
            station_text=config.path.read_text(encoding="utf-8"),
            cooldown=self.cooldown,
            calibrations=used,
            seed=self.simulation.seed if self.simulation else None,
            truth_text=self.simulation.truth_text if self.simulation else None,
        )

    def _log(self, writer: RunWriter, fit: FitResult, results: Mapping[str, Estimate]) -> None:
        """Every result with its run, model and code, in the current cooldown."""
        assumed = "; ".join(f"{name}: {statement}" for name, statement in fit.assumed.items())
        self.ledger.add_calibrations(
            [
                NewCalibration(
                    quantity=name,
                    value=estimate.value,
                    sigma=estimate.sigma,
                    unit=estimate.unit,
                    run_path=str(writer.path),
                    run_id=writer.run_id,
                    model=fit.model,
                    code_version=self._code_version,
                    simulated=self.simulation is not None,
                    assumed=assumed,
                )
                for name, estimate in results.items()
            ],
            cooldown=self.cooldown,
            batch=self.batch,
        )

    @property
    def _code_version(self) -> str:
        """Version, commit, and whether the checkout had uncommitted changes."""
        environment = self.environment
        changed = "+changes" if environment.git_dirty else ""
        return f"{__version__} ({environment.git_commit[:12]}{changed})"
