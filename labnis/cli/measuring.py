"""Commands that measure: `run`, `calibrate`, and `check`, which rehearses their beginning."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from pymeasure.experiment import Procedure
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labnis.cli.options import (
    STATION,
    DataOption,
    DryRunOption,
    JsonOption,
    RecordOption,
    SeedOption,
    SetOption,
    StationOption,
    TwinOption,
    UntilOption,
    YesOption,
    parsed,
)
from labnis.cli.preparing import Options, Prepared, cooldown_for, ledger_of, listed, prepared
from labnis.errors import DataQualityError, RequestError
from labnis.experiment.analysis import RESULTS
from labnis.experiment.goals import parsed_goals
from labnis.experiment.outcome import RunOutcome
from labnis.experiment.preflight import needed_roles, planned_runs
from labnis.experiment.request import configured_calibration, configured_procedure, find_procedure
from labnis.experiment.session import Bench, open_bench
from labnis.station import open_station
from labnis.station.connecting import check_role, instrument_class
from labnis.ui.terminal import TerminalDisplay, contract_table, estimate_table
from labnis.visa_log.run_digests import note_rows
from sim_instruments.dry_run import Twin

__all__ = ["calibrate", "check", "measure", "run"]

CONTRACT_BASIS = ("gap", "normal_resistance", "electron_temperature")
"""Calibrations from which a run's power and temperature are foretold."""


def run(  # noqa: PLR0913, PLR0917  # one parameter per option
    procedure: Annotated[str, typer.Argument(help="Name of a procedure, or a dotted path to one.")],
    station: StationOption = STATION,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    seed: SeedOption = None,
    twin: TwinOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
    record_visa: RecordOption = False,
    until: UntilOption = None,
) -> None:
    """Run one procedure, fit it live, and log what it finds."""
    request = [configured_procedure(find_procedure(procedure), parsed(settings))]
    options = Options(station, dry_run, seed, twin, data, yes, record_visa, parsed_goals(until or ()))
    measure(request, options, as_json=as_json)


def calibrate(  # noqa: PLR0913, PLR0917  # one parameter per option
    station: StationOption = STATION,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    seed: SeedOption = None,
    twin: TwinOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
    yes: YesOption = False,
    record_visa: RecordOption = False,
    until: UntilOption = None,
) -> None:
    """Measure I–V, reflection and emitted power, and log gap, resistance, temperature, rates, gain and noise."""
    request = configured_calibration(parsed(settings))
    options = Options(station, dry_run, seed, twin, data, yes, record_visa, parsed_goals(until or ()))
    outcomes = measure(request, options, as_json=as_json)
    missing = [name for name in RESULTS if not any(name in outcome.results for outcome in outcomes)]
    if missing:
        reasons = "; ".join(f"{outcome.path}: {outcome.problem}" for outcome in outcomes if outcome.problem)
        raise DataQualityError(f"the data are kept, but they give no {', '.join(missing)}. {reasons}")


def check(
    station: StationOption = STATION,
    dry_run: DryRunOption = False,
    twin: TwinOption = None,
    open_instruments: Annotated[bool, typer.Option("--open", help="Open the instruments, ask who they are.")] = False,
    data: DataOption = None,
) -> None:
    """Check the station file, the data folder and the ledger; with --open also the instruments."""
    options = Options(station, dry_run, None, twin, data, yes=True)
    console = Console()
    with prepared(options) as ready:
        config = ready.config
        table = Table("role", "instrument", "type", "address", title=escape(str(config.path)), title_justify="left")
        for role, name in config.roles.filled().items():
            address = ready.twin.addresses[role] if ready.twin else config.address(role)
            check_role(config, role, instrument_class(config, name))
            table.add_row(role, escape(name), config.instruments[name]["type"], address or "")
        console.print(table)
        console.print(f"wiring: {listed(asdict(config.wiring))}", highlight=False, soft_wrap=True)
        console.print(f"limits: {listed(config.limits.model_dump())}", highlight=False, soft_wrap=True)
        console.print(f"data: {ready.data}", highlight=False, soft_wrap=True)
        if open_instruments or dry_run:
            _ask_identities(ready, console)
    console.print("ok")


def measure(
    procedures: list[Procedure], options: Options, *, as_json: bool, resume: Path | None = None
) -> list[RunOutcome]:
    """Run `procedures` in order on one open station, and print what came out; `resume` goes on with that run's file."""
    if options.goals and options.record_visa:
        raise RequestError(
            "--until and --record-visa do not go together: when the fit knows enough depends on how fast this machine "
            "is, so that the record could not be replayed. Give one of them"
        )
    asks = not (options.dry_run or options.yes)
    with prepared(options) as ready:
        ledger = ledger_of(ready.config, options.data)
        cooldown = cooldown_for(ledger, options)
        console = Console(stderr=True)
        display = TerminalDisplay(console, simulated=options.dry_run)
        with (
            ready.recorded(procedures, options, cooldown) as record,
            open_bench(
                ready.config,
                procedures,
                data=ready.data,
                ledger=ledger,
                cooldown=cooldown,
                simulation=ready.simulation,
                goals=options.goals,
                display=display,
                record=record,
            ) as bench,
        ):
            latest = {name: ledger.latest(name, cooldown, bench.simulated) for name in CONTRACT_BASIS}
            known = {name: found.value for name, found in latest.items() if found is not None}
            roles = needed_roles(procedures, ready.config)
            plans = planned_runs(procedures, ready.config, known, bench.bath_temperature())
            console.print(contract_table(plans, ready.config, roles))
            if asks:
                _confirm()
            outcomes = [_measured(bench, procedure, resume) for procedure in procedures]
        _print_results(outcomes, ready.twin, as_json=as_json)
        if record is not None:
            console.print(f"VISA traffic: {record.path}", highlight=False, soft_wrap=True)
        return outcomes


def _measured(bench: Bench, procedure: Procedure, resume: Path | None) -> RunOutcome:
    """Run `procedure`; however it ends, the record of VISA traffic, if there is one, knows the rows."""
    try:
        return bench.run(procedure, resume=resume)
    finally:
        note_rows(bench.record)


def _confirm() -> None:
    """Ask whether to do what was announced.

    Raises
    ------
    RequestError
        Where nobody can be asked, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise RequestError("nobody can be asked whether to go ahead; give --yes in scripts. Nothing was moved")
    if not typer.confirm("Go ahead?", err=True):
        raise RequestError("not confirmed. Nothing was moved")


def _print_results(outcomes: list[RunOutcome], twin: Twin | None, *, as_json: bool) -> None:
    results = {name: estimate for outcome in outcomes for name, estimate in outcome.results.items()}
    truth = dict(twin.results) if twin else None
    if as_json:
        answer = {
            "simulated": twin is not None,
            "runs": [str(outcome.path) for outcome in outcomes],
            "results": {
                name: asdict(estimate) | ({"truth": truth[name]} if truth else {}) for name, estimate in results.items()
            },
        }
        typer.echo(json.dumps(answer))
        return
    console = Console()
    if results:
        title = "Results of a SIMULATED measurement" if twin else "Results"
        console.print(estimate_table(results, truth=truth, title=title))
    for outcome in outcomes:
        console.print(str(outcome.path), highlight=False, soft_wrap=True)


def _ask_identities(ready: Prepared, console: Console) -> None:
    roles = ready.config.roles.filled()
    where: dict[str, Any] = {"visalib": ready.twin.visalib, "addresses": ready.twin.addresses} if ready.twin else {}
    with open_station(ready.config, required_roles=list(roles), **where) as station:
        for name, part in station.snapshot()["instruments"].items():
            identity = part["parameters"]["IDN"]["value"]
            console.print(f"{name}: {listed(identity)}", highlight=False, soft_wrap=True)
