"""Columns of files of other programs, with their units as far as the file says them.

Text with columns (commas, semicolons, tabs or blanks; a header with units in brackets, or lines of comments), such as
exports of network analyzers, of Keithley instruments, of pymeasure and of spyview; Touchstone of one or two ports;
databases and netCDF of QCoDeS; netCDF; HDF5 of Labber and plottr; MATLAB.
"""

import io
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import xarray

from labnis.errors import RequestError
from labnis.exchange._text import read_text
from labnis.experiment.units import Column
from labnis.storage import open_run

__all__ = ["is_run", "is_simulated", "read_columns"]

_SCALES = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
_ROWS = "rows of the table"  # of a grid; files have dimensions of other names


# The summary that labnis writes beside exported data, as JSON, which some formats and spreadsheets quote again.
_SIMULATED = re.compile(rb'"simulated[\\"]*"\s*:\s*true', re.IGNORECASE)


def read_columns(path: Path, told: list[str] | None = None) -> dict[str, Column]:
    """Columns of the file at `path` by name; complex ones as NAME_re and NAME_im.

    What is left out of a text is added to `told`.

    Raises
    ------
    RequestError
        The file cannot be read, has no columns of numbers, or is a text with several tables or ambiguous commas.

    """
    suffix, left_out = path.suffix.lower(), [] if told is None else told
    read = _READERS.get(suffix)
    try:
        found = read_text(path, left_out) if read is None else read(path)
    except Exception as error:  # what libraries make of damaged files has no common class
        raise RequestError(f"{path}: cannot be read as {suffix or 'text'}: {error}") from error
    if not found:
        raise RequestError(f"{path}: it has no columns of numbers")
    return {name: column for name, raw in found.items() for name, column in _parts(name, raw)}


def is_run(path: Path) -> bool:
    """Whether a file is that of a run of labnis, or a copy."""
    if path.with_name(f"{path.name}.journal").exists():  # it is measured, or was interrupted
        return True
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return "configuration_hash" in file.attrs and file.attrs.get("NX_class") == "NXroot"


def is_simulated(path: Path) -> bool:
    """Whether the file says that it was exported from a simulated run of labnis.

    Raises
    ------
    RequestError
        The file cannot be read.

    """
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                if file.attrs.get("simulated", False):  # a run itself, or a copy
                    return True
        if path.suffix.lower() == ".db":  # of many datasets the newest one is read
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
                (newest,) = database.execute("SELECT * FROM runs ORDER BY run_id DESC LIMIT 1").fetchall() or [()]
            return _SIMULATED.search(" ".join(map(str, newest)).encode()) is not None
        return _SIMULATED.search(path.read_bytes()) is not None
    except sqlite3.Error as error:
        raise RequestError(f"{path}: cannot be read as a database of QCoDeS: {error}") from error
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or error}") from error


def _parts(name: str, column: Column) -> Iterator[tuple[str, Column]]:
    if not np.iscomplexobj(column.values):
        yield name, column
        return
    yield f"{name}_re", Column(column.values.real, column.unit)
    yield f"{name}_im", Column(column.values.imag, column.unit)


# --- Touchstone -------------------------------------------------------------------------------------------------------


def _touchstone(path: Path) -> dict[str, Column]:
    """Version 1 of one or two ports: frequency, and S11, S21, S12 and S22 where they are."""
    scale, form = 1e9, "MA"
    numbers: list[float] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        text = line.partition("!")[0].strip()
        if text.startswith("#"):
            words = text[1:].lower().split()
            scale = next((_SCALES[word] for word in words if word in _SCALES), 1e9)
            form = next((word.upper() for word in words if word in ("ma", "db", "ri")), "MA")
            if any(word in words for word in ("y", "z", "g", "h")):
                raise ValueError("it has no S parameters")
        elif text.startswith("["):
            raise ValueError("Touchstone of version 2 is not read")
        elif text:
            numbers += map(float, text.split())
    ports = 1 if path.suffix.lower() == ".s1p" else 2
    table = np.array(numbers).reshape(-1, 1 + 2 * ports**2)
    found = {"frequency": Column(scale * table[:, 0], "Hz")}
    for number, name in enumerate(("s11", "s21", "s12", "s22")[: ports**2]):
        first, second = table[:, 1 + 2 * number], table[:, 2 + 2 * number]
        size = 10 ** (first / 20) if form == "DB" else first
        value = first + 1j * second if form == "RI" else size * np.exp(1j * np.deg2rad(second))
        found[name] = Column(value, "1")
    return found


# --- binary files -----------------------------------------------------------------------------------------------------


def _of_dataset(data: xarray.Dataset) -> dict[str, Column]:
    """Columns of a Dataset, with one row for each point of its grid; traces along `frequency` have two dimensions."""
    points = [dim for dim in data.dims if dim != "frequency"]
    found: dict[str, Column] = {}
    for name, column in data.variables.items():
        if column.dtype.kind not in "fciu":
            continue
        values = data[name].drop_vars([*data[name].coords])
        if name != "frequency" and points:
            missing = {dim: data.sizes[dim] for dim in points if dim not in values.dims}
            values = values.expand_dims(missing).stack({_ROWS: points}).transpose(_ROWS, ...)
        found[str(name)] = Column(values.values, str(column.attrs.get("units", column.attrs.get("unit", ""))))
    return found


def _netcdf(path: Path) -> dict[str, Column]:
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        return _of_dataset(data.load())


def _qcodes(path: Path) -> dict[str, Column]:
    """The last dataset of a database; one of an older QCoDeS is brought up to date in a copy."""
    from qcodes.dataset import connect, load_by_id  # noqa: PLC0415  # slow, and only for these
    from qcodes.dataset.sqlite.database import (  # noqa: PLC0415
        get_db_version_and_newest_available_version as versions,
    )

    with (
        tempfile.TemporaryDirectory() as folder,
        closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as given,
        redirect_stdout(io.StringIO()),  # it shows how far it is
    ):
        file, read_only = path, True
        (version,) = given.execute("PRAGMA user_version").fetchone()
        if version < versions(":memory:")[1]:
            file, read_only = Path(folder) / "copy.db", False
            with closing(sqlite3.connect(file)) as copy:
                given.backup(copy)
        connection: Any = connect(file, read_only=read_only)
        try:
            (last,) = connection.execute("SELECT MAX(run_id) FROM runs").fetchone()
            if last is None:
                raise ValueError("the database has no dataset")
            dataset: Any = load_by_id(last, connection)
            return _of_dataset(dataset.to_xarray_dataset())
        finally:
            connection.close()


def _hdf5(path: Path) -> dict[str, Column]:
    """A run of labnis; datasets of plottr, of Labber's log, or, of any other file, all of numbers in one dimension."""
    if is_run(path):
        return _of_dataset(open_run(path))
    with h5py.File(path, "r") as file:
        if "Data" in file and "Channel names" in file["Data"]:
            return _labber(file)
        found: dict[str, Column] = {}

        def visit(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "fciu" and item.ndim > 0:
                unit = item.attrs.get("unit", item.attrs.get("units", ""))
                text = unit.decode() if isinstance(unit, bytes) else str(unit)
                found[name.rpartition("/")[2] if name.rpartition("/")[2] not in found else name] = Column(
                    item[()], text
                )

        file.visititems(visit)
        return found


def _labber(file: Any) -> dict[str, Column]:
    """Channels of Labber: an array of (steps, channels, entries), with their units under `Channels`."""
    units = {row[0].decode(): row[3].decode() for row in file["Channels"][()]} if "Channels" in file else {}
    names = [(row[0].decode(), row[1].decode()) for row in file["Data/Channel names"][()]]
    values = file["Data/Data"][()]
    found: dict[str, Column] = {}
    for number, (name, part) in enumerate(names):
        ending = {"Real": "_re", "Imaginary": "_im"}.get(part, "")
        found[f"{name}{ending}"] = Column(values[:, number, :].T.ravel(), units.get(name, ""))
    return found


def _matlab(path: Path) -> dict[str, Column]:
    """Numeric arrays of a file up to version 7.2; newer ones are HDF5."""
    try:
        known: Mapping[str, Any] = scipy.io.loadmat(path, squeeze_me=True)
    except NotImplementedError:
        return {name: Column(c.values.squeeze().T, c.unit) for name, c in _hdf5(path).items()}
    found = {}
    for name, values in known.items():
        if isinstance(values, np.ndarray) and values.dtype.kind in "fciu" and values.ndim > 0:
            found[name] = Column(values)
    return found


_READERS: Mapping[str, Callable[[Path], dict[str, Column]]] = {
    ".s1p": _touchstone,
    ".s2p": _touchstone,
    ".nc": _netcdf,
    ".db": _qcodes,
    **dict.fromkeys((".h5", ".hdf5", ".ddh5", ".nxs"), _hdf5),
    ".mat": _matlab,
}
