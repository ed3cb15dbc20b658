"""Commands that measure: `run`, `calibrate`, `resume`, `queue`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from pymeasure.experiment import Procedure

from labnis.cli.options import MeasurementOptions, assignments, path_of, with_measurement_options
from labnis.cli.results import print_results, refuse_doubtful
from labnis.errors import DataQualityError, RequestError
from labnis.experiment.analysis import adjustable, analyses_of, needs_of, true_results
from labnis.experiment.goals import reachable
from labnis.experiment.known_values import KnownValues, known_from_texts
from labnis.experiment.opening import open_session
from labnis.experiment.preflight import needed_roles
from labnis.experiment.request import (
    configured_calibration,
    configured_procedure,
    find_procedure,
    read_queue,
    requested_tags,
    stored_procedure,
)
from labnis.experiment.run import Run
from labnis.experiment.session import Session
from labnis.station import StationConfig, load_station
from labnis.storage import find_run, list_runs, read_metadata
from labnis.ui.log import log_steps
from labnis.ui.output import console_of, say
from labnis.ui.run_log import RunLog
from labnis.ui.terminal import TerminalDisplay, preflight_text
from labnis.visa_log.session_record import recorded

__all__ = ["calibrate", "queue", "resume", "run"]

UNFINISHED = ("interrupted", "aborted", "failed")

SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Parameter as name=value; may be given again.", metavar="NAME=VALUE")
]


@dataclass(frozen=True)
class Request:
    """One requested run."""

    procedure: Procedure
    tags: Sequence[str] = ()
    note: str = ""
    resume: Path | None = None

    def __post_init__(self) -> None:
        requested_tags(self.tags)

    @property
    def name(self) -> str:
        """Name of the procedure."""
        return type(self.procedure).__name__


@with_measurement_options
def run(
    procedure: Annotated[str, typer.Argument(help="Name of a procedure, or a dotted path to one.")],
    options: MeasurementOptions,
    settings: SetOption = None,
) -> None:
    """Run one procedure, fit it live, and enter the results in the ledger."""
    config = load_station(options.station)  # makes the lab's own packages importable
    configured = configured_procedure(find_procedure(procedure, config), assignments(settings))
    refuse_doubtful(_measure([_request(configured, options)], options, config))


@with_measurement_options
def calibrate(options: MeasurementOptions, settings: SetOption = None) -> None:
    """Measure I–V, reflection and emitted power; enter their results in the ledger."""
    config = load_station(options.station)
    steps = configured_calibration(assignments(settings))
    possible = _possible(steps, config)
    if not possible:
        raise RequestError(f"{config.path}: no step of the calibration can be measured with its roles")
    runs = _measure([_request(step, options) for step in possible], options, config)
    wanted = [name for step in possible for name in analyses_of(step)[0].results]
    missing_results = [name for name in wanted if not any(name in one.results for one in runs)]
    if missing_results:
        reasons = "; ".join(f"{one.path}: {one.problem}" for one in runs if one.problem)
        raise DataQualityError(f"the data are saved, but they do not determine {', '.join(missing_results)}. {reasons}")
    refuse_doubtful(runs)


@with_measurement_options
def resume(
    options: MeasurementOptions,
    run: Annotated[str | None, typer.Argument(help="Path or id; default: the newest unfinished run.")] = None,
) -> None:
    """Continue an interrupted run in the same file; its last point is measured again and compared."""
    if options.tag or options.note or options.fix or options.prior:
        raise RequestError("--tag, --note, --fix and --prior: a resumed run keeps its own; leave them out")
    config = load_station(options.station)
    folder = options.data or config.data
    path = find_run(folder, run) if run else _newest_unfinished(folder)
    metadata = read_metadata(path)
    name = metadata["procedure_class"] or metadata["procedure"]
    procedure = stored_procedure(name, metadata["parameters"], path)
    refuse_doubtful(_measure([Request(procedure, resume=path)], options, config))


@with_measurement_options
def queue(
    file: Annotated[
        Path,
        typer.Argument(
            parser=path_of, metavar="FILE", help="YAML list of runs: procedure, and optionally set, tags, note."
        ),
    ],
    options: MeasurementOptions,
) -> None:
    """Run several procedures one after the other; one that fails ends the queue only if the bias is not at zero."""
    config = load_station(options.station)
    requests = [
        Request(procedure, [*(options.tag or []), *entry.tags], entry.note or options.note)
        for procedure, entry in read_queue(file, config)
    ]
    # A replay ends with the first failure, too.
    refuse_doubtful(_measure(requests, options, config, go_on=not options.record_visa))


def _possible(steps: list[Procedure], config: StationConfig) -> list[Procedure]:
    """Steps of the calibration for which the station has the roles and earlier steps give the results needed."""
    possible: list[Procedure] = []
    for step in steps:
        name = type(step).__name__
        missing = [role for role in step.REQUIRES if role not in config.roles]
        known = {analysis.name for earlier in possible for analysis in analyses_of(earlier)}
        needed = [need for need in needs_of(analyses_of(step)) if need not in known]
        if missing:
            say(f"labnis: {name} is left out: the station has no role {', '.join(missing)}", err=True)
        elif needed:
            say(f"labnis: {name} is left out: it needs the results of {', '.join(needed)}", err=True)
        else:
            possible.append(step)
    return possible


def _request(procedure: Procedure, options: MeasurementOptions) -> Request:
    return Request(procedure, options.tag or [], options.note)


def _newest_unfinished(folder: Path) -> Path:
    unfinished = [summary.path for summary in list_runs(folder) if summary.status in UNFINISHED]
    if not unfinished:
        raise RequestError(f"no unfinished run in {folder}; name one to resume")
    return unfinished[-1]


def _measure(
    requests: list[Request], options: MeasurementOptions, config: StationConfig, *, go_on: bool = False
) -> list[Run]:
    """Run the requests in order in one session, and print the results; `go_on` is for `_run_all`."""
    procedures = [request.procedure for request in requests]
    until = options.until or []
    if until and options.record_visa:
        raise RequestError(
            "--until and --record-visa exclude each other: when the fit reaches σ depends on the speed of this "
            "machine, so the record could not be replayed. Give one of them."
        )
    known = _known(requests, options)
    log_steps(on_terminal=options.verbose)
    display = TerminalDisplay(console_of(sys.stderr), simulated=options.dry_run, quiet=options.quiet)
    # The results of one complete run are those that the command ends with: they are shown once.
    display.shows_results = len(requests) > 1 or options.as_json
    observers: list[Any] = [display, RunLog()]
    if options.plot:
        from labnis.ui.live_plot import LivePlot  # noqa: PLC0415  # matplotlib's windows are loaded on demand

        observers.append(LivePlot())
    with (
        display.results_before_errors(),
        open_session(
            config,
            dry_run=options.dry_run,
            twin=options.twin,
            seed=options.seed,
            data=options.data,
            observers=observers,
            on_error=options.on_error,
            accept=options.accept,
            priors_from=options.priors_from or (),
            visa_record=partial(recorded, procedures=procedures) if options.record_visa else None,
        ) as session,
    ):
        plans = session.prepare(procedures, until=until)
        roles = needed_roles(procedures, config)
        simulated = display.simulated = session.simulated
        asks = not (options.dry_run or options.yes)
        if asks or not options.quiet:
            say(preflight_text(plans, config, roles, simulated=simulated), err=True)
            if (own := session.station.config.device.name) != config.device.name:
                say(
                    f"--twin is another device, {own!r}, in the cooldown {session.cooldown}: its results are apart "
                    f"from those of {config.device.name!r}",
                    err=True,
                )
            for name in session.station.stand_ins:
                say(f"{name} is simulated by a stand-in for its role: no panel exists for its model", err=True)
        if asks:
            _confirm()
        runs, failure = _run_all(session, requests, until, known, go_on=go_on)
        truth: dict[str, float] | None = None
        if session.twin is not None:
            every = [analysis for procedure in procedures for analysis in analyses_of(procedure)]
            truth = true_results(every, session.twin.truth)
    print_results(runs, truth, simulated=simulated, as_json=options.as_json)
    if failure is not None:
        raise failure
    return runs


def _known(requests: Sequence[Request], options: MeasurementOptions) -> KnownValues:
    """What --fix and --prior say; refused before anything is opened where no fit of the `requests` has it."""
    analyses = [analysis for request in requests for analysis in analyses_of(request.procedure)]
    units = {name: unit for analysis in analyses for name, unit in adjustable(analysis).items()}
    known = known_from_texts(options.fix or (), options.prior or (), units)
    known.check(units)
    return known


def _run_all(
    session: Session, requests: list[Request], until: Sequence[str], known: KnownValues, *, go_on: bool
) -> tuple[list[Run], Exception | None]:
    """Run the requests in order.

    The first failure ends them; with `go_on` only one that does not leave the station safe, or a request to stop.

    Returns
    -------
    tuple
        The complete runs; with `go_on` also the failure of the highest exit code, if there is one. Which entries
        failed or were not started is printed.
    """
    runs: list[Run] = []
    failed: dict[str, Exception] = {}
    names = [f"entry {number} ({one.name})" for number, one in enumerate(requests, 1)]
    for name, one in zip(names, requests, strict=True):
        if failed and not session.may_go_on:
            break
        analyses = analyses_of(one.procedure)
        goals, own = reachable(until, analyses), known.of(analyses)
        try:
            runs.append(
                session.run(
                    one.procedure,
                    until=goals,
                    resume=one.resume,
                    fixed=own.fixed,
                    priors=own.given,
                    tags=one.tags,
                    note=one.note,
                )
            )
        except Exception as error:
            if not go_on:
                raise
            failed[name] = error
            say(f"labnis: {name} failed: {error}", err=True)
    if not failed:
        return runs, None
    # At once: closing a station that is not safe fails, too.
    say(f"labnis: failed: {', '.join(failed)}", err=True)
    if idle := names[len(runs) + len(failed) :]:
        say(f"labnis: not started: {', '.join(idle)}", err=True)
    return runs, max(failed.values(), key=lambda error: getattr(error, "exit_code", 0))


def _confirm() -> None:
    """Ask for confirmation of the announced plan.

    Raises
    ------
    RequestError
        No terminal, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise RequestError("no terminal to ask for confirmation; give --yes in scripts. Nothing was moved.")
    if not typer.confirm("Go ahead?", err=True):
        raise RequestError("not confirmed. Nothing was moved.")
