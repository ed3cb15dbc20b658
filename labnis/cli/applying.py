"""The command that applies a calibration to other data."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
import xarray
from rich.table import Table

from labnis.cli.options import STATION, ColumnsOption, DataOption, JsonOption, StationOption, columns_of, path_of
from labnis.errors import DataQualityError, RequestError
from labnis.exchange.exporting import without_complex
from labnis.exchange.origins import origin_of
from labnis.exchange.reading import is_run, read_columns
from labnis.experiment.applying import ANALYSES, Calibration, drift_rate
from labnis.experiment.calibrations import run_of
from labnis.experiment.run import device_of, stored_run
from labnis.fit import Estimate, number_text
from labnis.ledger import Ledger, Validity, valid_at, validities
from labnis.ledger.of_station import doubts_by_fit, ledger_of
from labnis.station import StationConfig, load_station
from labnis.storage import find_run, read_metadata
from labnis.ui.output import cells, doubts_in_words, encodable, minute, print_table, say, say_json

__all__ = ["apply"]

# What is taken out → a result of the fit that says how.
_QUANTITIES = {"gain": "gain", "background": "damping_line"}
# Ending of files with a grid, and the rows of a table at most.
_NETCDF, _ROWS = ".nc", 50


def apply(
    what: Annotated[Literal["gain", "background"], typer.Argument(help="What is taken out: of spectra, or of S11.")],
    run: Annotated[
        str, typer.Argument(metavar="RUN|FILE", help="Path or id of a run, or a file that `labnis import` reads.")
    ],
    chosen: Annotated[
        str | None, typer.Option("--from", metavar="RUN", help="Run with the calibration, instead of what was valid.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", parser=path_of, metavar="FILE", help="File of netCDF for the result.")
    ] = None,
    columns: ColumnsOption = None,
    station: StationOption = STATION,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show spectra or S11 as they are at the device.

    By the calibration that was valid when they were measured. Spectra become power and photons without the noise of
    the chain; S11 loses its background. Nothing is applied that does not cover the data: their frequencies, wiring and
    instruments. σ contains the drift that the calibrations of the cooldown show.
    """
    if out is not None and out.exists():
        raise RequestError(f"{out} exists; give another name")
    config = load_station(station)
    folder = data or config.data
    file, named, doubts = Path(run), columns_of(columns or ""), list[str]()
    foreign = file.is_file() and not is_run(file)
    if named and not foreign:
        raise RequestError("--columns: a run has the columns that it needs; leave it out")
    metadata = _metadata_in(file) if foreign else read_metadata(find_run(folder, run))
    if chosen is None and metadata is None:
        raise RequestError(f"{run} does not say when it was measured, and at which device: give --from RUN")
    if chosen is not None:
        path = find_run(folder, chosen)
        of_cooldown = _of_cooldown(config, data, read_metadata(path), _QUANTITIES[what])
        calibration = Calibration.of(path, _drift(of_cooldown))
        own = {name: warnings for name, warnings in calibration.run.warnings.items() if name in ANALYSES}
        doubts = doubts_in_words(doubts_by_fit(station, data, path, own))
    else:
        calibration = _valid(config, data, metadata or {}, _QUANTITIES[what])
        doubts = _of_its_own(ledger_of(config, data), metadata or {}, _QUANTITIES[what], calibration)
    asked = {"measured": "start", "wiring": "wiring", "instruments": "instruments"}
    known = {} if metadata is None else {name: metadata[key] for name, key in asked.items()}
    told: list[str] = []
    measured = _opened(calibration, file, named, told) if foreign else stored_run(find_run(folder, run)).data
    found = calibration.apply(measured, **known)
    found.attrs["notes"] = "; ".join(filter(None, [found.attrs["notes"], *told]))
    if chosen is not None and metadata is not None:
        doubts += _otherwise(calibration.run.metadata, metadata)
    found.attrs["warnings"] = "; ".join(filter(None, [found.attrs["warnings"], *doubts]))
    if out is not None:
        _write(found, out)
    if as_json:
        values = {str(name): column.values for name, column in without_complex(found).variables.items()}
        say_json({**found.attrs, "out": out, "columns": values})
    else:
        _print(found, calibration)
    if found.attrs["warnings"]:
        raise DataQualityError(f"the calibration is in doubt: {found.attrs['warnings']}")


def _write(found: xarray.Dataset, out: Path) -> None:
    try:
        without_complex(found).to_netcdf(out, engine="h5netcdf")
    except OSError as error:
        raise RequestError(f"{out}: cannot be written: {error.strerror or error}") from error


def _metadata_in(file: Path) -> dict[str, Any] | None:
    """What an export of labnis says of its run, as its metadata; None of another program."""
    origin = origin_of(file)
    return None if origin is None or origin.context is None else origin.metadata


def _opened(calibration: Calibration, path: Path, named: Mapping[str, str], told: list[str]) -> xarray.Dataset:
    """The traces of a file; of netCDF on their grid, with s11_re and s11_im as s11, for it has no complex numbers."""
    if path.suffix != _NETCDF or named:
        return calibration.traces_of(read_columns(path, told), named, str(path))
    try:
        with xarray.open_dataset(path, engine="h5netcdf") as file:
            data = file.load()
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: cannot be read as netCDF: {error}") from error
    if {"s11_re", "s11_im"} <= {*map(str, data)}:
        data["s11"] = data["s11_re"] + 1j * data["s11_im"]
    return data


def _otherwise(chosen: Mapping[str, Any], metadata: Mapping[str, Any]) -> list[str]:
    """In what the run of a chosen calibration is another than the one it is applied to; its chain may be the same."""
    if chosen["simulated"] != metadata["simulated"]:
        raise RequestError("one of the runs is simulated, and the other is not: nothing is applied")
    pairs = {"device": (device_of(chosen), device_of(metadata)), "cooldown": (chosen["cooldown"], metadata["cooldown"])}
    return [
        f"it was made with the {what} {own!r}, and the data have {its!r}"
        for what, (own, its) in pairs.items()
        if own != its
    ]


def _of_its_own(ledger: Ledger, metadata: Mapping[str, Any], quantity: str, applied: Calibration) -> list[str]:
    """Why the own calibration of a run does not count, where another one is applied to it."""
    entries = ledger.calibrations(run_id=metadata["run_id"], quantity=quantity)
    if not entries or applied.run.run_id == metadata["run_id"]:
        return []
    newest = entries[-1]
    why = f"was revoked: {newest.reason}" if newest.revoked is not None else f"is in doubt: {newest.warnings}"
    counts = newest.revoked is None and not newest.warnings
    return [] if counts else [f"the run's own {quantity} ({newest.number}) {why}; its data may be as doubtful"]


def _valid(config: StationConfig, data: Path | None, metadata: Mapping[str, Any], quantity: str) -> Calibration:
    """The calibration that was valid when a run began, with the drift that those of its cooldown show."""
    device = device_of(metadata)
    every = _of_cooldown(config, data, metadata, quantity)
    valid = valid_at(every, metadata["start"])
    if not valid:
        ended = [f"{one.calibration.number} ({one.ended_by})" for one in every if one.ended_by]
        raise RequestError(
            f"no {quantity} of {device or 'the device'} was valid at {minute(metadata['start'])}, when "
            f"{metadata['run_id']} was measured; there are {', '.join(ended) or 'none'}. Choose a run with --from."
        )
    (entry,) = [one.calibration for one in valid][-1:]
    return Calibration.of(run_of(entry, data or config.data), _drift(every), {entry.analysis: entry.name_in_file})


def _of_cooldown(
    config: StationConfig, data: Path | None, metadata: Mapping[str, Any], quantity: str
) -> list[Validity]:
    """Calibrations of the device and the cooldown of a run."""
    opened, device = ledger_of(config, data), device_of(metadata)
    entries = opened.calibrations(metadata["cooldown"], quantity, metadata["simulated"])
    own = [entry for entry in entries if entry.device == device and entry.analysis in ANALYSES]
    return validities(own, opened.cooldowns(), config.valid_for, datetime.now(UTC))


def _drift(every: Sequence[Validity]) -> float:
    """Of the gain, by those that count; of others that is not known."""
    counted = [one.calibration for one in every if one.until is None or one.until > one.calibration.measured]
    return drift_rate([one for one in counted if one.quantity == "gain"])


def _print(found: xarray.Dataset, calibration: Calibration) -> None:
    say(f"by the calibration of run {calibration.run.run_id}, {minute(calibration.run.metadata['start'])}")
    if "power" in found:
        table = Table("bias", encodable("power ± σ"), "noise", "systematic")
        shown = found if found["power"].ndim else found.expand_dims("point")
        flat = [shown[name].values.ravel() for name in ("power", "power_statistical", "power_systematic")]
        for number, (power, statistical, systematic) in enumerate(zip(*flat, strict=True)):
            if number == _ROWS:
                say(f"the first {_ROWS} of {flat[0].size} rows; --out has all")
                break
            total = Estimate(power, float(np.hypot(statistical, systematic)), "W", systematic)
            place = "; ".join(_places(shown, number))
            parts = [number_text(part, "W") for part in (statistical, systematic)]
            table.add_row(*cells([place, total, *parts]))
        print_table(table)
    if "reflection" in found:
        size = np.abs(found["reflection"].values)
        say(f"|S11| at the device from {np.nanmin(size):.3g} to {np.nanmax(size):.3g}")
    for note in filter(None, found.attrs["notes"].split("; ")):
        say(f"note: {note}")


def _places(found: xarray.Dataset, number: int) -> list[str]:
    """Set-points of a row, in words."""
    at = np.unravel_index(number, found["power"].shape)
    return [
        f"{dim} {number_text(float(found[dim][i]), found[dim].attrs.get('units', ''))}"
        if dim in found.coords
        else f"{dim} {i}"
        for dim, i in zip(found["power"].dims, at, strict=True)
    ]
