"""What a fit says along a set-point, such as the electron temperature against the bias, in the file of a run."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray

from labnis.errors import LabnisWarning
from labnis.experiment.analysis import Analysis, can
from labnis.experiment.stored_fits import newest_records
from labnis.fit import FitResult
from sim_instruments import Twin

__all__ = ["COORDINATES", "curves_of", "record_of", "stored_curves"]

#: Coordinates of curves at several temperatures of the stage: what the thermometer reads, and the voltage.
COORDINATES = ("fridge_temperature", "device_voltage")


def stored_curves(path: Path) -> dict[str, xarray.Dataset]:
    """Name of the analysis → curves of its fit in the file at `path`, along their abscissa.

    Raises
    ------
    RunFileError
        The file cannot be read.

    """
    found = {}
    for name, record in newest_records(path).items():
        curves = dict(record.get("curves", {}))
        if not curves:
            continue
        abscissa = next(iter(curves))
        several = any(np.ndim(c["values"]) > 1 for c in curves.values())
        dims = ("stage", "point") if several else (abscissa,)
        columns = {n: (dims[: np.ndim(c["values"])], c["values"], {"units": c["unit"]}) for n, c in curves.items()}
        found[name] = xarray.Dataset(columns).set_coords([n for n in columns if n in COORDINATES or n == abscissa])
    return found


def record_of(analysis: Analysis, fit: FitResult, data: xarray.Dataset | None, twin: Twin | None) -> dict[str, Any]:
    """The record of a fit for the file, with its curves, and the true ones in a dry run.

    A LabnisWarning tells where the analysis fails to compute its curves.
    """
    record = fit.as_record()
    curves = None if data is None else curves_of(analysis, fit, data)
    if curves is None:
        return record
    plain = {n: {"unit": str(c.attrs["units"]), "values": c.values.tolist()} for n, c in _columns(curves).items()}
    if twin is not None:
        for name, values in _true(curves, twin).items():
            if name in plain:
                plain[f"{name}_truth"] = {"unit": plain[name]["unit"], "values": values.tolist()}
    return record | {"curves": plain}


def curves_of(analysis: Analysis, fit: FitResult, data: xarray.Dataset) -> xarray.Dataset | None:
    """The curves of a fit; None where the `analysis` has none, or, with a LabnisWarning, fails to compute them."""
    if not can(analysis, "curves"):
        return None
    try:
        curves: xarray.Dataset = analysis.curves(fit, data)  # type: ignore[attr-defined]  # optional
        _columns(curves)
    except Exception as error:  # noqa: BLE001  # a lab's own code; the fit is valid without
        problem = f"{type(error).__name__}: {error}"
        warnings.warn(f"analysis {analysis.name}: its curves cannot be computed: {problem}", LabnisWarning, 3)
        return None
    return curves


def _columns(curves: xarray.Dataset) -> dict[str, xarray.DataArray]:
    """Coordinates and curves by name, in the order of the file; KeyError for one without units."""
    columns = {n: curves[n] for n in (*_coordinates(curves), *map(str, curves.data_vars))}
    for column in columns.values():
        column.attrs["units"]
    return columns


def _coordinates(curves: xarray.Dataset) -> tuple[str, ...]:
    """The coordinates, that of one dimension first; ValueError for several that are not `COORDINATES`."""
    found = tuple(sorted(map(str, curves.coords), key=lambda name: curves[name].ndim))
    if len(found) != 1 and found != COORDINATES:
        raise ValueError(f"they have the coordinates {', '.join(found)}; one is needed, or {', '.join(COORDINATES)}")
    return found


def _true(curves: xarray.Dataset, twin: Twin) -> Mapping[str, NDArray[np.float64]]:
    """The true curves at the same voltages across the device; none where these are no coordinate."""
    if "device_voltage" not in curves.coords:
        return {}
    voltage = np.asarray(curves["device_voltage"].values)
    if voltage.ndim == 1:
        return twin.true_curves(voltage, None)
    baths = curves["fridge_temperature"].values
    each = [twin.true_curves(*one) for one in zip(voltage, map(float, baths), strict=True)]
    return {name: np.array([one[name] for one in each]) for name in (each[0] if each else ())}
