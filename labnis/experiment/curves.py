"""What a fit says along a set-point, such as the electron temperature against the bias, in the file of a run."""

import warnings
from pathlib import Path
from typing import Any

import xarray

from labnis.errors import LabnisWarning
from labnis.experiment.analysis import Analysis, can
from labnis.fit import FitResult
from labnis.storage import read_fits
from sim_instruments import Twin

__all__ = ["record_of", "stored_curves"]


def stored_curves(path: Path) -> dict[str, xarray.Dataset]:
    """Name of the analysis → curves of its fit in the file at `path`, along their abscissa.

    Raises
    ------
    RunFileError
        The file cannot be read.

    """
    found = {}
    for name, record in read_fits(path).items():
        curves = dict(record.get("curves", {}))
        if not curves:
            continue
        abscissa = next(iter(curves))
        columns = {n: (abscissa, c["values"], {"units": c["unit"]}) for n, c in curves.items()}
        found[name] = xarray.Dataset(columns).set_coords(abscissa)
    return found


def record_of(analysis: Analysis, fit: FitResult, data: xarray.Dataset | None, twin: Twin | None) -> dict[str, Any]:
    """The record of a fit for the file, with its curves, and the true ones in a dry run.

    A LabnisWarning tells where the analysis fails to compute its curves.
    """
    record = fit.as_record()
    if data is None or not can(analysis, "curves"):
        return record
    try:
        curves: xarray.Dataset = analysis.curves(fit, data)  # type: ignore[attr-defined]  # optional
        (abscissa,) = curves.coords
        columns = {str(abscissa): curves[abscissa], **{str(n): column for n, column in curves.data_vars.items()}}
        plain = {n: {"unit": str(c.attrs["units"]), "values": c.values.tolist()} for n, c in columns.items()}
    except Exception as error:  # noqa: BLE001  # a lab's own code; the fit is valid without
        problem = f"{type(error).__name__}: {error}"
        warnings.warn(f"analysis {analysis.name}: its curves are not stored: {problem}", LabnisWarning, 2)
        return record
    if twin is not None and abscissa == "device_voltage":
        for name, values in twin.true_curves(curves["device_voltage"].values).items():
            if name in columns:
                plain[f"{name}_truth"] = {"unit": plain[name]["unit"], "values": values.tolist()}
    return record | {"curves": plain}
