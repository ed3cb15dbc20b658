"""A run as a dataset of QCoDeS, in a database of its own or one that exists, or as its netCDF file."""

import json
import sqlite3
import tempfile
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from qcodes.dataset import Measurement, connect, load_by_guid, load_or_create_experiment
from qcodes.dataset.data_set_protocol import DataSetProtocol

from labnis.errors import RequestError
from labnis.experiment.run import Run

__all__ = ["write_qcodes", "write_qcodes_netcdf"]


def write_qcodes(run: Run, out: Path, summary: dict[str, Any]) -> list[Path]:
    """One dataset in the database `out`, with the experiment's name of the procedure and the sample's of the device.

    Raises
    ------
    RequestError
        `out` is a file of something else.

    """
    if out.exists():
        _check_database(out)
    with closing(connect(out)) as connection:
        _dataset(run, summary, connection)
    return [out]


def _check_database(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    except sqlite3.Error as error:
        raise RequestError(f"{path} exists and is no database ({error}); give another name") from error
    if tables and not {"experiments", "runs"} <= tables:
        raise RequestError(f"{path} exists and is no database of QCoDeS; give another name")


def write_qcodes_netcdf(run: Run, out: Path, summary: dict[str, Any]) -> list[Path]:
    """The netCDF file that QCoDeS itself makes of such a dataset."""
    with tempfile.TemporaryDirectory() as folder, closing(connect(Path(folder) / "run.db")) as connection:
        dataset = _dataset(run, summary, connection)
        dataset.export("netcdf", path=folder)
        out.write_bytes(Path(dataset.export_info.export_paths["nc"]).read_bytes())
    return [out]


def _dataset(run: Run, summary: dict[str, Any], connection: Any) -> DataSetProtocol:
    """The run as a dataset of a database: one result for each point, in which traces are arrays."""
    data = run.data
    experiment = load_or_create_experiment(run.procedure, summary["device"] or "unknown", conn=connection)
    measurement = Measurement(exp=experiment, name=run.run_id)
    dims = [dim for dim in data.dims if dim != "frequency"]
    axes = [*(str(dim) for dim in dims if dim in data.coords), *(["frequency"] if "frequency" in data.coords else [])]
    columns = {str(n): c for n, c in data.data_vars.items() if c.dtype.kind in "fciub" and set(c.dims) & set(dims)}
    for axis in axes:
        kind = "array" if axis == "frequency" else "numeric"
        measurement.register_custom_parameter(axis, unit=_unit(data[axis]), label=_label(data, axis), paramtype=kind)
    for name, column in columns.items():
        traced = "frequency" in column.dims
        over = [axis for axis in axes if axis in column.dims]
        kind = "array" if traced else "complex" if np.iscomplexobj(column) else "numeric"
        measurement.register_custom_parameter(
            name, unit=_unit(column), label=_label(data, name), setpoints=over or None, paramtype=kind
        )
    # It says on standard output that it starts.
    with redirect_stdout(None), measurement.run() as saver:
        for at in np.ndindex(*(data.sizes[dim] for dim in dims)):
            point = data.isel(dict(zip(dims, at, strict=True)))
            for name, column in columns.items():
                over = [axis for axis in axes if axis in column.dims]
                saver.add_result(*((axis, point[axis].values) for axis in over), (name, point[name].values))
        saver.dataset.add_metadata("labnis", json.dumps(summary))
        guid = saver.dataset.guid
    return load_by_guid(guid, connection)


def _unit(column: xarray.DataArray) -> str:
    return str(column.attrs.get("units", ""))


def _label(data: xarray.Dataset, name: str) -> str:
    return str(data[name].attrs.get("long_name", "") or name)
