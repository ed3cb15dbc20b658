"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from labnis.errors import RequestError

__all__ = [
    "STATION",
    "DataOption",
    "DryRunOption",
    "JsonOption",
    "RecordOption",
    "SeedOption",
    "SetOption",
    "StationOption",
    "TwinOption",
    "UntilOption",
    "YesOption",
    "parsed",
]

StationOption = Annotated[Path, typer.Option("--station", help="Station file.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder for runs, instead of the station file's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Parameter as name=value; may be given again.", metavar="NAME=VALUE")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Use the simulated fridge; everything else stays.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Seed of the simulated noise (dry run only).")]
TwinOption = Annotated[Path | None, typer.Option("--twin", help="Truth file of the twin (dry run only).")]
RecordOption = Annotated[
    bool, typer.Option("--record-visa", help="Record all VISA traffic beside the run, for `labnis replay`.")
]
UntilOption = Annotated[
    list[str] | None,
    typer.Option("--until", help="End a run as soon as a result is known this well.", metavar="RESULT=SIGMA"),
]

STATION = Path("station.yaml")
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask before a real measurement.")]


def parsed(settings: list[str] | None) -> dict[str, str]:
    """`name=value` texts as a mapping.

    Raises
    ------
    RequestError
        For a text of another form, or a name given twice.
    """
    parsed: dict[str, str] = {}
    for text in settings or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise RequestError(f"--set {text!r}: write it as name=value")
        if name in parsed:
            raise RequestError(f"--set {name} is given twice: {parsed[name]!r} and {value!r}")
        parsed[name] = value
    return parsed
