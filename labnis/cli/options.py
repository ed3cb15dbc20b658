"""Options that several commands share."""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from labnis.errors import RequestError

__all__ = [
    "STATION",
    "ColumnsOption",
    "DataOption",
    "DryRunOption",
    "FixOption",
    "JsonOption",
    "MeasurementOptions",
    "PriorOption",
    "SimulatedOption",
    "StationOption",
    "TwinOption",
    "assignments",
    "check_figure",
    "columns_of",
    "folder_of",
    "path_of",
    "with_measurement_options",
]

STATION = Path("station.yaml")


def path_of(text: str | Path) -> Path:
    """`text` as a path, with `~` expanded.

    Raises
    ------
    RequestError
        It has control characters.

    """
    if any(ord(character) < 32 or ord(character) == 127 for character in str(text)):
        raise RequestError(f"{str(text)!r}: a path has no control characters; give another one")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # the user after ~ does not exist
        raise RequestError(f"{str(text)!r}: {error}") from error


StationOption = Annotated[Path, typer.Option("--station", parser=path_of, metavar="FILE", help="Station file.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        parser=path_of,
        metavar="FOLDER",
        help="Folder for runs and their ledger, instead of the station file's.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output, nothing else.")]
SimulatedOption = Annotated[bool, typer.Option("--simulated", help="Those of simulated runs, in place of real ones.")]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        "--columns",
        metavar="NAME=COLUMN",
        help='Where columns have other names, or no unit: "device_voltage=V (mV),current=I (nA)".',
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Use the simulated fridge instead of the real one.")]
TwinOption = Annotated[
    Path | None,
    typer.Option("--twin", parser=path_of, metavar="FILE", help="Truth file of the simulated fridge (dry run only)."),
]
FixOption = Annotated[
    list[str] | None,
    typer.Option(
        "--fix", metavar="NAME=VALUE", help="Hold a parameter of the fits, such as gap=215ueV; may be given again."
    ),
]
PriorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prior",
        metavar="NAME=VALUE+-SIGMA",
        help="A parameter of the fits that is known with a σ, such as dynes=1e-4+-1e-5; may be given again.",
    ),
]


@dataclass(frozen=True)
class MeasurementOptions:
    """Options of every command that measures."""

    station: StationOption = STATION
    dry_run: DryRunOption = False
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, metavar="NUMBER", help="Seed of the simulated noise (dry run only).")
    ] = None
    twin: TwinOption = None
    data: DataOption = None
    as_json: JsonOption = False
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before a real measurement.")] = False
    record_visa: Annotated[
        bool, typer.Option("--record-visa", help="Write a VISA record beside the run, for `labnis replay`.")
    ] = False
    until: Annotated[
        list[str] | None,
        typer.Option(
            "--until",
            help="End a run as soon as a result reaches this σ, such as gap=0.1% or gain=0.05dB.",
            metavar="RESULT=SIGMA",
        ),
    ] = None
    fix: FixOption = None
    prior: PriorOption = None
    on_error: Annotated[
        Literal["stop", "skip"],
        typer.Option("--on-error", help="After a failed reading: end the run, or flag the row and continue."),
    ] = "stop"
    accept: Annotated[
        bool, typer.Option("--accept", help="Use fits of earlier runs as priors also where they are in doubt.")
    ] = False
    priors_from: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Run whose fits are priors, instead of the newest ones of the ledger; may be given again.",
        ),
    ] = None
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="WORD", help="Word to search for; may be given again.")
    ] = None
    note: Annotated[str, typer.Option("--note", metavar="TEXT", help="Comment that is saved with the run.")] = ""
    plot: Annotated[
        bool, typer.Option("--plot", help="Show the growing data with their fit in a window, where there is a screen.")
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Also show each step: instruments as they are opened, measuring, fits, ledger."
        ),
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show results, warnings and failures only, no plan and no progress.")
    ] = False


def with_measurement_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` one option for each field of `MeasurementOptions`; they are passed as its argument `options`."""
    own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "options"]
    hints = get_type_hints(MeasurementOptions, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(f.name, keyword, default=f.default, annotation=hints[f.name])
        for f in fields(MeasurementOptions)
    ]

    @functools.wraps(command)
    def called(**values: Any) -> None:
        options = MeasurementOptions(**{p.name: values.pop(p.name) for p in shared})
        command(**values, options=options)

    called.__dict__["__signature__"] = inspect.Signature([p.replace(kind=keyword) for p in own] + shared)
    called.__annotations__ = {p.name: p.annotation for p in [*own, *shared]}
    return called


def assignments(texts: list[str] | None) -> dict[str, str]:
    """`name=value` texts as a mapping.

    Raises
    ------
    RequestError
        A text of another form, or a name given twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise RequestError(f"--set {text!r}: write it as name=value")
        if name in found:
            raise RequestError(f"--set {name} is given twice: {found[name]!r} and {value!r}")
        found[name] = value
    return found


def columns_of(text: str) -> dict[str, str]:
    """The option --columns as a mapping.

    Raises
    ------
    RequestError
        A part has no name or no column.

    """
    found = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, equals, column = part.partition("=")
        if not equals or not column.strip():
            raise RequestError(f'--columns {part!r}: write it like "device_voltage=V (mV),current=I (nA)"')
        found[name.strip()] = column.strip()
    return found


def folder_of(station: Path, data: Path | None, runs: Sequence[str]) -> Path:
    """The data folder: `data`, or else that of the station file, which `runs` that are all files can do without."""
    if data is not None:
        return data
    if station == STATION and not station.exists() and all(path_of(run).is_file() for run in runs):
        return Path()
    from labnis.station import load_station  # noqa: PLC0415  # a list of commands needs no station

    return load_station(station).data


StyleOption = Annotated[
    Path | None,
    typer.Option("--style", parser=path_of, metavar="FILE", help="Style file of matplotlib for --figure."),
]


def check_figure(file: Path) -> None:
    """RequestError for a file of another kind than figures are."""
    if file.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise RequestError(f"--figure {file}: the name must end with .png, .pdf or .svg")


def moment(text: str) -> datetime:
    """A date, or date and time, in local time; RequestError for another text."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise RequestError(f"{text!r} is no date or time; write it as 2026-11-03 or 2026-11-03T12:00") from None
