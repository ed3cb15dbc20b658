"""The command line. Every command ends with one of the exit codes listed in `labnis.errors`."""

import json
import logging
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from pymeasure.experiment import Procedure
from qcodes.utils import QCoDeSDeprecationWarning
from rich.console import Console
from rich.table import Table

from drivers.errors import InstrumentError
from labnis import __version__
from labnis.display import TerminalDisplay, estimate_table, rounded
from labnis.errors import ConfigurationError, LabnisError, RequestError
from labnis.figures import draw_runs
from labnis.fit import Estimate, FitResult
from labnis.ledger import Calibration, Ledger, LedgerError, open_ledger
from labnis.requests import configured_calibration, configured_procedure, find_procedure
from labnis.run import RunOutcome, Simulation, open_bench
from labnis.station import StationConfig, load_station, open_station
from labnis.storage import DataRootError, StorageError, check_data_root, find_run, list_runs, read_fits, read_metadata
from sim_instruments.dry_run import Twin, open_twin
from sim_instruments.truth import TruthError

__all__ = ["app", "main"]

DRY_RUN_COOLDOWN = "dry-run"

app = typer.Typer(
    help="Measure and calibrate NIS devices in a dilution refrigerator.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cooldown_app = typer.Typer(help="Cooldowns, to which every calibration belongs.", no_args_is_help=True)
app.add_typer(cooldown_app, name="cooldown")

StationOption = Annotated[Path, typer.Option("--station", help="Station file.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder for runs, instead of the station file's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Parameter as name=value; may be given again.", metavar="NAME=VALUE")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Use the simulated fridge; everything else stays.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the simulated noise (dry run only).")]
TwinOption = Annotated[Path | None, typer.Option("--twin", help="Truth file of the twin (dry run only).")]

STATION = Path("station.yaml")


# --- commands that measure -------------------------------------------------------------------------------------------


@app.command()
def run(
    procedure: Annotated[str, typer.Argument(help="Name of a procedure, or a dotted path to one.")],
    station: StationOption = STATION,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    seed: SeedOption = None,
    twin: TwinOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run one procedure, fit it live, and log what it finds."""
    request = [configured_procedure(find_procedure(procedure), _parsed(settings))]
    _measure(request, _Options(station, dry_run, seed, twin, data), as_json=as_json)


@app.command()
def calibrate(
    station: StationOption = STATION,
    settings: SetOption = None,
    dry_run: DryRunOption = False,
    seed: SeedOption = None,
    twin: TwinOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure I–V, reflection and emitted power, and log gap, resistance, temperature, rates, gain and noise."""
    request = configured_calibration(_parsed(settings))
    _measure(request, _Options(station, dry_run, seed, twin, data), as_json=as_json)


@app.command()
def check(
    station: StationOption = STATION,
    dry_run: DryRunOption = False,
    twin: TwinOption = None,
    open_instruments: Annotated[bool, typer.Option("--open", help="Open the instruments, ask who they are.")] = False,
    data: DataOption = None,
) -> None:
    """Check the station file, the data folder and the ledger; with --open also the instruments."""
    options = _Options(station, dry_run, None, twin, data)
    console = Console()
    with _prepared(options) as prepared:
        config = prepared.config
        table = Table("role", "instrument", "type", "address", title=str(config.path), title_justify="left")
        for role, name in config.roles.filled().items():
            address = prepared.twin.addresses[role] if prepared.twin else config.address(role)
            table.add_row(role, name, config.instruments[name]["type"], address or "")
        console.print(table)
        console.print(f"wiring: {_listed(asdict(config.wiring))}", highlight=False)
        console.print(f"limits: {_listed(config.limits.model_dump())}", highlight=False)
        console.print(f"data: {prepared.data}", highlight=False, soft_wrap=True)
        if open_instruments or dry_run:
            _ask_identities(prepared, console)
    console.print("ok")


# --- commands that look ----------------------------------------------------------------------------------------------


@app.command()
def ls(station: StationOption = STATION, data: DataOption = None) -> None:
    """List the runs in the data folder."""
    folder = data or load_station(station).data
    table = Table("run", "start", "procedure", "cooldown", "rows", "status", "simulated")
    for summary in list_runs(folder):
        start = summary.start.strftime("%Y-%m-%d %H:%M:%S") if summary.start else ""
        status = summary.status if summary.status != "unreadable" else f"unreadable: {summary.reason}"
        simulated = {True: "simulated", False: "", None: "?"}[summary.simulated]
        table.add_row(summary.run_id, start, summary.procedure, summary.cooldown, str(summary.rows), status, simulated)
    Console().print(table)


@app.command()
def show(
    runs: Annotated[list[str], typer.Argument(help="Runs by path, id or the beginning of an id.")],
    station: StationOption = STATION,
    data: DataOption = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Draw the runs into this PNG, PDF or SVG.")] = None,
) -> None:
    """Show what a run measured, under which conditions, and what was fitted."""
    folder = data or load_station(station).data
    paths = [find_run(folder, text) for text in runs]
    for path in paths:
        _show_run(path)
    if figure is not None:
        draw_runs(paths, figure)
        typer.echo(f"figure: {figure}")


@app.command()
def calibrations(
    station: StationOption = STATION,
    data: DataOption = None,
    cooldown: Annotated[str | None, typer.Option("--cooldown", help="Only of this cooldown.")] = None,
    quantity: Annotated[str | None, typer.Option("--quantity", help="Only this quantity.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the calibrations in the ledger, each with its cooldown, run, model and code version."""
    found = _ledger(load_station(station), data).calibrations(cooldown=cooldown, quantity=quantity)
    if as_json:
        typer.echo(json.dumps([asdict(c) for c in found], default=str))
        return
    for _, batch in groupby(found, key=lambda c: c.batch):
        _show_batch(list(batch))


@cooldown_app.command("start")
def cooldown_start(
    name: Annotated[str, typer.Argument(help="Name of the new cooldown; the one before ends.")],
    note: Annotated[str, typer.Option("--note", help="Anything worth remembering.")] = "",
    station: StationOption = STATION,
    data: DataOption = None,
) -> None:
    """Start a cooldown: calibrations belong to it from now on."""
    started = _ledger(load_station(station), data).start_cooldown(name, note=note)
    typer.echo(f"cooldown {started.name} started")


@cooldown_app.command("end")
def cooldown_end(station: StationOption = STATION, data: DataOption = None) -> None:
    """End the current cooldown."""
    _ledger(load_station(station), data).end_cooldown()
    typer.echo("cooldown ended")


@cooldown_app.command("list")
def cooldown_list(station: StationOption = STATION, data: DataOption = None) -> None:
    """List the cooldowns, the current one last."""
    table = Table("cooldown", "started", "ended", "note")
    for c in _ledger(load_station(station), data).cooldowns():
        ended = c.ended.astimezone().strftime("%Y-%m-%d %H:%M") if c.ended else "current"
        table.add_row(c.name, c.started.astimezone().strftime("%Y-%m-%d %H:%M"), ended, c.note)
    Console().print(table)


# --- what the commands share -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Options:
    station: Path
    dry_run: bool
    seed: int | None
    twin: Path | None
    data: Path | None


@dataclass(frozen=True)
class _Prepared:
    """Checked configuration, a writable data folder, and the twin if this is a dry run."""

    config: StationConfig
    data: Path
    twin: Twin | None

    @property
    def simulation(self) -> Simulation | None:
        if self.twin is None:
            return None
        return Simulation(self.twin.visalib, self.twin.addresses, self.twin.seed, self.twin.truth_text)


@contextmanager
def _prepared(options: _Options) -> Iterator[_Prepared]:
    if not options.dry_run:
        for name in ("seed", "twin"):
            if getattr(options, name) is not None:
                raise RequestError(f"--{name} belongs to the simulated fridge; give it together with --dry-run")
    config = load_station(options.station)
    data = options.data or config.data
    check_data_root(data)
    with ExitStack() as stack:
        twin = stack.enter_context(_twin(config, options)) if options.dry_run else None
        yield _Prepared(config, data, twin)


@contextmanager
def _twin(config: StationConfig, options: _Options) -> Iterator[Twin]:
    truth = options.twin or config.twin
    if truth is None:
        raise ConfigurationError(f"{config.path}: labnis.twin.file is missing; name a truth file there or by --twin")
    names = ("divider", "series_resistance", "current_amplifier_gain", "excitation_divider")
    with open_twin(truth, seed=options.seed, wiring={name: getattr(config.wiring, name) for name in names}) as twin:
        yield twin


def _measure(procedures: list[Procedure], options: _Options, *, as_json: bool) -> None:
    """Run `procedures` in order on one open station, and print what came out."""
    with _prepared(options) as prepared:
        ledger = _ledger(prepared.config, options.data)
        cooldown = _cooldown(ledger, simulated=options.dry_run)
        display = TerminalDisplay(Console(stderr=True), simulated=options.dry_run)
        with open_bench(
            prepared.config,
            procedures,
            data=prepared.data,
            ledger=ledger,
            cooldown=cooldown,
            simulation=prepared.simulation,
            display=display,
        ) as bench:
            outcomes = [bench.run(procedure) for procedure in procedures]
        _print_results(outcomes, prepared.twin, as_json=as_json)


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


def _cooldown(ledger: Ledger, *, simulated: bool) -> str:
    """Name of the cooldown to log to. A dry run without one logs to a closed cooldown of its own."""
    current = ledger.current_cooldown()
    if current is not None:
        return current.name
    if not simulated:
        raise ConfigurationError("no cooldown is running; start one with `labnis cooldown start NAME`")
    if DRY_RUN_COOLDOWN not in {c.name for c in ledger.cooldowns()}:
        ledger.start_cooldown(DRY_RUN_COOLDOWN, note="dry runs outside any cooldown")
        ledger.end_cooldown()
    return DRY_RUN_COOLDOWN


def _ledger(config: StationConfig, data: Path | None) -> Ledger:
    """The station's ledger; with --data, the one in that folder."""
    folder = check_data_root(data or config.data)
    url = f"sqlite:///{(folder / 'ledger.sqlite').as_posix()}" if data else config.ledger.get_secret_value()
    return open_ledger(url)


def _ask_identities(prepared: _Prepared, console: Console) -> None:
    roles = prepared.config.roles.filled()
    where: dict[str, Any] = (
        {"visalib": prepared.twin.visalib, "addresses": prepared.twin.addresses} if prepared.twin else {}
    )
    with open_station(prepared.config, required_roles=list(roles), **where) as station:
        for name, part in station.snapshot()["instruments"].items():
            identity = part["parameters"]["IDN"]["value"]
            console.print(f"{name}: {_listed(identity)}", highlight=False)


def _show_run(path: Path) -> None:
    console = Console()
    metadata = read_metadata(path)
    mark = "SIMULATED " if metadata["simulated"] else ""
    console.print(f"[bold]{mark}{metadata['procedure']} {metadata['run_id']}[/]", highlight=False)
    for key in ("status", "reason", "rows", "start", "end", "cooldown", "git_commit", "git_dirty", "host"):
        if metadata.get(key) not in (None, ""):
            console.print(f"  {key}: {metadata[key]}", highlight=False, soft_wrap=True, markup=False)
    console.print(f"  parameters: {_listed(metadata['parameters'])}", highlight=False, markup=False)
    console.print(f"  wiring: {_listed(metadata['wiring'])}", highlight=False, markup=False)
    for record in read_fits(path).values():
        console.print(FitResult.from_record(record).report(), highlight=False, soft_wrap=True, markup=False)
    console.print(f"  file: {path}", highlight=False, soft_wrap=True, markup=False)


def _show_batch(batch: list[Calibration]) -> None:
    """The results of one command: cooldown, time and code once, then a row per quantity."""
    first = batch[0]
    when = first.created.astimezone().strftime("%Y-%m-%d %H:%M")
    mark = ", SIMULATED" if first.simulated else ""
    title = f"{first.cooldown}, {when}, labnis {first.code_version}{mark}"
    table = Table("quantity", "value ± σ", "run", "model", title=title, title_justify="left")
    for c in batch:
        table.add_row(c.quantity.replace("_", " "), rounded(Estimate(c.value, c.sigma, c.unit)), c.run_id, c.model)
    Console().print(table)


def _listed(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)


def _parsed(settings: list[str] | None) -> dict[str, str]:
    parsed = {}
    for text in settings or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise RequestError(f"--set {text!r}: write it as name=value")
        parsed[name] = value
    return parsed


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"labnis {__version__}")
        raise typer.Exit


def main() -> None:
    """Entry point: run a command and turn what it raises into a message and an exit code."""
    _quieten_libraries()
    try:
        app()
    except LabnisError as error:
        _fail(error, error.exit_code)
    except TruthError as error:
        _fail(error, ConfigurationError.exit_code)
    except DataRootError as error:
        _fail(error, ConfigurationError.exit_code)
    except InstrumentError as error:
        _fail(error, 5)
    except (StorageError, LedgerError) as error:
        _fail(error, 6)
    except Exception as error:  # noqa: BLE001  # the last resort: say what happened, with where
        traceback.print_exception(error)
        _fail(error, 1)


def _quieten_libraries() -> None:
    """Show labnis's own warnings; QCoDeS's about its own drivers and their snapshots help nobody at the fridge."""
    logging.basicConfig(level=logging.WARNING, format="labnis: %(levelname)s: %(message)s")
    logging.getLogger("qcodes").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", QCoDeSDeprecationWarning)


def _fail(error: Exception, code: int) -> None:
    print(f"labnis: {error}", file=sys.stderr)  # noqa: T201  # the one place where a command fails
    sys.exit(code)


if __name__ == "__main__":
    main()
