"""The command that makes a run of a file of another program."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from labnis.cli.options import (
    STATION,
    ColumnsOption,
    DataOption,
    JsonOption,
    StationOption,
    columns_of,
    moment,
    path_of,
)
from labnis.cli.results import print_results, refuse_doubtful
from labnis.errors import RequestError
from labnis.exchange.importing import KINDS, import_run
from labnis.experiment.analysis import analyses_of_run
from labnis.experiment.calibrations import Logbook
from labnis.experiment.goals import NUMBER, unit_factor
from labnis.experiment.run import Run, device_of
from labnis.experiment.run_plan import code_version
from labnis.ledger import new_batch
from labnis.ledger.of_station import ledger_of
from labnis.station import load_station
from labnis.storage import collect_environment, find_run
from labnis.ui.output import say

__all__ = ["import_"]

_QUANTITY = re.compile(rf"(?P<number>{NUMBER})\s*(?P<unit>[^\W\d]\w*)")


def import_(  # noqa: PLR0913, PLR0917  # options
    file: Annotated[Path, typer.Argument(parser=path_of, metavar="FILE", help="File of another program.")],
    kind: Annotated[str, typer.Option("--as", metavar="KIND", help=f"What it is: {', '.join(KINDS)}.")],
    columns: ColumnsOption = None,
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="Of the device.")] = "",
    junctions: Annotated[
        str | None,
        typer.Option("--junctions", metavar="N", help="1, 2 (a pair, the default), or SERIESxPARALLEL of an array."),
    ] = None,
    resonator: Annotated[
        Literal["reflection", "hanger", "transmission"] | None,
        typer.Option("--resonator", help="The traces are S11 in reflection (the default), or S21 of the others."),
    ] = None,
    series_resistance: Annotated[
        float, typer.Option("--series-resistance", min=0.0, help="Of the line (ohm), if it is not subtracted yet.")
    ] = 0.0,
    band: Annotated[
        str | None,
        typer.Option(
            "--band",
            metavar="CENTRE,BANDWIDTH",
            help="Of band_power (one number per bias, W or dBm, no spectra): such as 4.67GHz,140MHz.",
        ),
    ] = None,
    excitation: Annotated[
        str | None,
        typer.Option(
            "--excitation", metavar="VOLTAGE", help="Of the lock-in (rms), for conductance without a current: 20uV."
        ),
    ] = None,
    chosen: Annotated[
        list[str] | None, typer.Option("--from", metavar="RUN", help="Run with fits that this one needs.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="When it was measured, if the file does not say it.")
    ] = None,
    cooldown: Annotated[
        str, typer.Option("--cooldown", metavar="NAME", help="To which it belongs; else that of the file, or imported.")
    ] = "",
    station: StationOption = STATION,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a run of a file of another program, and fit it.

    The run is one like any other: show, refit, ledger and figure have it. Units come from the file or from --columns,
    and are never guessed.
    """
    config = load_station(station) if data is None or station.exists() else None
    folder = data if data is not None else config.data if config is not None else Path()
    ledger = None if config is None else ledger_of(config, data)
    more = {
        "junctions": None if junctions is None else _junctions(junctions),
        "resonator": resonator,
    }
    run = import_run(
        file,
        kind,
        data=folder,
        columns=columns_of(columns or ""),
        device={"name": device} | {name: value for name, value in more.items() if value is not None},
        series_resistance=series_resistance,
        band=None if band is None else _quantities("--band", band, "Hz", "4.67GHz,140MHz"),
        excitation=None if excitation is None else _quantities("--excitation", excitation, "V", "20uV")[0],
        cooldown=cooldown,
        start=None if start is None else moment(start),
        priors_from=[find_run(folder, text) for text in chosen or ()],
        ledger=ledger,
    )
    if ledger is not None:
        metadata = run.metadata
        own, name = ledger.of_device(device_of(metadata)), metadata["cooldown"]
        own.closed_cooldown(name, note="runs of other programs")
        book = Logbook(own, name, new_batch(), folder, code_version(collect_environment()), metadata["simulated"])
        for told in book.enter(analyses_of_run(metadata), run.fits, run.path, metadata):
            say(f"labnis: {told}", err=True)
    _print(run, as_json=as_json)
    refuse_doubtful([run])


def _print(run: Run, *, as_json: bool) -> None:
    print_results([run], None, simulated=run.metadata["simulated"], as_json=as_json)
    for note in run.notes:
        say(f"note: {note}", err=True)
    for name, problem in run.problems.items():
        say(f"no fit ({name}): {problem}", err=True)
    for name, fit in run.fits.items():
        for text in fit.warnings:
            say(f"warning ({name}): {text}", err=True)
        for text in fit.notes:
            say(f"note ({name}): {text}", err=True)


def _quantities(option: str, text: str, unit: str, example: str) -> tuple[float, ...]:
    """Numbers with units, between commas, in `unit`; as many as in the `example`."""
    parts = [_QUANTITY.fullmatch(part.strip()) for part in text.split(",")]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts) or len(parts) != len(example.split(",")):
        raise RequestError(f"{option} {text!r}: write it with units, like {example}")
    return tuple(float(part["number"]) * unit_factor(f"{option} {text!r}", part["unit"], unit) for part in known)


def _junctions(text: str) -> Any:
    """1, 2, or (series, parallel)."""
    parts = text.lower().split("x")
    if not all(part.isdecimal() and int(part) > 0 for part in parts) or len(parts) > 2:
        raise RequestError(f"--junctions {text!r}: 1, 2, or SERIESxPARALLEL such as 10x2")
    numbers = [int(part) for part in parts]
    return numbers[0] if len(numbers) == 1 else numbers
