"""Layout of a run in its HDF5 file: NeXus for plot programs, netCDF dimension scales for xarray.

::

    /                 NX_class=NXroot, default=entry, all metadata as attributes, status, reason
    /entry            NX_class=NXentry, default=data; entry/data is a soft link to /data
    /data             NX_class=NXdata, signal, axes, coordinates, rows (number of complete rows), simulated
    /data/point       shape (rows,); position of each row on the grid (C order), dimension scale of all rows
    /data/<column>    shape (rows,) or (rows, *axes); units, long_name; attached to its dimension scales
    /data/<axis>      shape (points,)
    /<name>           soft links to all datasets of /data, so that xarray needs no group to open the file
    /grid/<column>    shape (points,): planned values of a set-point
    /events           time, monotonic, kind, message, details, count, last of each event, along its scale `monotonic`
    /fit/<name>       datasets values, sigma, covariance, parameters, units; the rest as attributes
    /fit/<name>/curves  what the fit says along a set-point, such as the electron temperature; with its σ

Functions here take open h5py objects and neither open nor close files.
"""

from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from labnis.storage._attributes import from_attributes, json_text, json_value, read_attributes
from labnis.storage._columns import Axis, Column, RunLayout, layout_from_plain, layout_to_plain
from labnis.storage.errors import DAMAGE, LayoutError, RunFileError

__all__ = [
    "CHUNK_BYTES", "append_rows", "check_fit", "check_links", "create_axis", "create_run", "members", "read_described",
    "read_file_metadata", "read_fit", "read_layout", "row_count", "set_attributes", "values_of", "write_fit",
]  # fmt: skip

# A chunk is rewritten whole when a row is added to it, so it stays small; one long trace fills one chunk.
CHUNK_BYTES = 64 * 1024
MAX_CHUNK_POINTS = 1 << 16
_LARGEST_BYTES = 1 << 30

# A column of such a name has no link at the root.
_GROUPS = ("data", "entry", "events", "fit", "grid")

# Required entries of a fit: arrays, lists of texts, attributes.
_POINTS = "point"
"""Dataset that numbers the points of curves of two dimensions."""
_FIT_ARRAYS = ("values", "sigma", "covariance")
_FIT_TEXTS = ("parameters", "units")
_FIT_ATTRIBUTES = ("chi2", "dof", "model", "code_version", "assumed", "warnings")


def set_attributes(target: Any, attributes: Mapping[str, Any]) -> None:
    """Write attributes; an existing one is replaced, or removed where the new value is None."""
    for key, value in attributes.items():
        if value is not None:
            target.attrs[key] = value
        elif key in target.attrs:
            del target.attrs[key]


def row_count(file: Any) -> int:
    """Number of complete rows of a run.

    Raises
    ------
    KeyError, ValueError
        The file has no `/data`, or `rows` is not a number of rows.
    RunFileError
        `/data` is in another file.

    """
    rows = member(file, "data").attrs["rows"]
    if np.ndim(rows) or np.asarray(rows).dtype.kind not in "iu" or rows < 0:
        raise ValueError(f"the attribute 'rows' of /data is {rows!r}; a number of rows is needed")
    return int(rows)


def create_run(file: Any, layout: RunLayout, attributes: Mapping[str, Any]) -> None:
    """Create an empty run: root attributes, `/data`, its columns as far as their axes are known, `/grid`, `/fit`."""
    set_attributes(file, {"NX_class": "NXroot", "default": "entry", "creator": "labnis", **attributes})
    data = file.create_group("data")
    entry = file.create_group("entry")
    set_attributes(entry, {"NX_class": "NXentry", "default": "data"})
    entry["data"] = h5py.SoftLink("/data")
    names = [column.name for column in layout.columns]
    set_attributes(data, {"NX_class": "NXdata", "signal": layout.signal, "axes": layout.plot_axes, "columns": names})
    set_attributes(data, {"rows": np.int64(0), "simulated": attributes["simulated"]})
    if layout.setpoints and not any(" " in name for name in layout.setpoints):
        for group in (file, data):
            group.attrs["coordinates"] = " ".join(layout.setpoints)  # the separator of the CF conventions
    # The whole layout, including columns whose axis is not known yet: it is needed to read and to resume the run.
    plain = layout_to_plain(layout)
    data.attrs["schema"] = json_text("schema", plain | ({"grid": list(layout.grid)} if "grid" in plain else {}))
    for name, values in layout.grid.items():
        _create_scale(file.require_group("grid"), layout.column(name), values)
    for name in ("fit", "grid"):
        file.require_group(name).attrs["NX_class"] = "NXcollection"
    _create_column(data, layout.column(layout.dimension), ()).make_scale(layout.dimension)
    _create_ready_columns(file, layout)


def read_layout(file: Any) -> RunLayout:
    """Inverse of `create_run`, with the axes whose values are known.

    Raises
    ------
    KeyError
        The file is of version 1, which has no layout.

    """
    data = file["data"]
    plain = json_value(data.attrs["schema"])
    plain["grid"] = {name: values_of(file["grid"][name]) for name in plain.get("grid", ())}
    used = sorted({axis for column in plain["columns"] for axis in column["axes"]})
    axes = [Axis(name, *read_described(data[name]), values_of(data[name])) for name in used if name in data]
    return layout_from_plain(plain, axes)


def read_described(dataset: Any) -> tuple[str, str]:
    """Unit and long name of a dataset."""
    return str(dataset.attrs["units"]), str(dataset.attrs["long_name"])


def create_axis(file: Any, layout: RunLayout, axis: Axis) -> None:
    """Store the values of an axis and create the columns of `layout` whose axes are complete now."""
    _create_scale(file["data"], axis, axis.values)
    _create_ready_columns(file, layout)


def _create_scale(group: Any, what: Column | Axis, values: Any) -> None:
    dataset = group.create_dataset(what.name, data=values)
    set_attributes(dataset, {"units": what.unit, "long_name": what.long_name})
    dataset.make_scale(what.name)


def _create_ready_columns(file: Any, layout: RunLayout) -> None:
    """Create every column whose axes are known, attached to its dimension scales, and link all to the root."""
    data = file["data"]
    for column in layout.columns:
        trace = tuple(data[axis].shape[0] for axis in column.axes if axis in data)
        if column.name in data or len(trace) < len(column.axes):
            continue
        dataset = _create_column(data, column, trace)
        for dimension, scale in enumerate((layout.dimension, *column.axes)):
            dataset.dims[dimension].attach_scale(data[scale])
    for name in sorted(data.keys() - file.keys() - set(_GROUPS)):
        # A soft link leads a reader through `/data`, so that it sees the number of complete rows before the dataset.
        file[name] = h5py.SoftLink(f"/data/{name}")


def _create_column(data: Any, column: Column, trace: tuple[int, ...]) -> Any:
    points = int(np.prod(trace, dtype=np.int64))
    rows_per_chunk = max(1, CHUNK_BYTES // (column.stored.itemsize * points))
    dataset = data.create_dataset(
        column.name,
        shape=(0, *trace),
        maxshape=(None, *trace),
        chunks=(rows_per_chunk, *(min(length, MAX_CHUNK_POINTS) for length in trace)),
        dtype=column.stored,
        fillvalue=column.stored.type(column.missing),
    )
    set_attributes(dataset, {"units": column.unit, "long_name": column.long_name})
    return dataset


def append_rows(file: Any, first: int, block: Mapping[str, NDArray[Any]]) -> None:
    """Write a block, for each column an array of shape (rows, *axes), from row number `first` on.

    Writing the same block again changes nothing.
    """
    data = file["data"]
    end = first
    for name, values in block.items():
        end = first + len(values)
        data[name].resize(end, axis=0)
        data[name][first:end] = values
    # Data first, then the counter: a reader that uses the counter never sees an incomplete row.
    file.flush()
    data.attrs.modify("rows", np.int64(end))


def values_of(dataset: Any) -> Any:
    """All values of a dataset whose size does not grow with the rows: an axis, a grid, events, a fit.

    Raises
    ------
    ValueError
        It claims a size that none of them has, and for which there may be no memory.

    """
    if dataset.nbytes > _LARGEST_BYTES:
        raise ValueError(f"{dataset.name} has the shape {dataset.shape}, which is too large")
    return dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]


def write_fit(file: Any, name: str, fit: Mapping[str, Any]) -> None:
    """Store a fit that `check_fit` accepts as `/fit/<name>`, replacing an earlier one of that name."""
    group_name = f"fit/{name}"
    if group_name in file:
        del file[group_name]
    group = file.create_group(group_name)
    group.attrs["NX_class"] = "NXparameters"
    for key in _FIT_ARRAYS:
        group.create_dataset(key, data=np.asarray(fit[key], dtype=np.float64))
    for key in _FIT_TEXTS:
        group.create_dataset(key, data=list(fit[key]), dtype=h5py.string_dtype())
    group.attrs["chi2"] = float(fit["chi2"])
    group.attrs["dof"] = int(fit["dof"])
    for key in fit.keys() - {*_FIT_ARRAYS, *_FIT_TEXTS, "chi2", "dof", "curves"}:
        group.attrs[key] = json_text(f"fit {name}: {key}", fit[key])
    if "curves" in fit:
        # In the order of the analysis, which is that of a figure, and not of the alphabet.
        _write_curves(group.create_group("curves", track_order=True), fit["curves"])


def _write_curves(group: Any, curves: Mapping[str, Any]) -> None:
    """Store curves as datasets along the first of them, and those of two dimensions also along their points."""
    abscissa, points = None, 0
    for name, curve in curves.items():
        dataset = group.create_dataset(name, data=np.asarray(curve["values"], dtype=np.float64))
        dataset.attrs["units"] = curve["unit"]
        if abscissa is None:
            abscissa = dataset
            dataset.make_scale(name)
        else:
            dataset.dims[0].attach_scale(abscissa)
        points = max(points, *dataset.shape[1:], 0)
    if points:
        scale = group.create_dataset(_POINTS, data=np.arange(points))
        scale.make_scale(_POINTS)
        for dataset in members(group).values():
            if dataset.ndim > 1:
                dataset.dims[1].attach_scale(scale)


def check_fit(name: str, fit: Mapping[str, Any]) -> None:
    """Refuse a fit that cannot be stored.

    Raises
    ------
    LayoutError
        An entry is missing, has the wrong shape or type or no form in JSON; or the name cannot be that of a group.

    """
    if not isinstance(name, str) or not name.isprintable() or not name.strip(". ") or "/" in name:
        raise LayoutError(f"fit name {name!r} cannot be stored: printable characters without '/' are needed")
    missing = [key for key in _FIT_ARRAYS + _FIT_TEXTS + _FIT_ATTRIBUTES if key not in fit]
    if missing:
        raise LayoutError(f"fit {name!r} lacks {', '.join(missing)}")
    count = len(fit["parameters"])
    needed = {"values": (count,), "sigma": (count,), "units": (count,), "covariance": (count, count)}
    for key, shape in needed.items():
        if np.shape(fit[key]) != shape:
            raise LayoutError(f"fit {name!r}: {key} has shape {np.shape(fit[key])}, needed is {shape}")
    numbers: dict[str, Callable[[Any], Any]] = {**dict.fromkeys(_FIT_ARRAYS, np.float64), "chi2": float, "dof": int}
    for key, converted in numbers.items():
        try:
            converted(fit[key])
        except (TypeError, ValueError) as error:
            raise LayoutError(f"fit {name!r}: {key} cannot be {fit[key]!r}; numbers are needed") from error
    if wrong := [text for key in _FIT_TEXTS for text in fit[key] if not isinstance(text, str)]:
        raise LayoutError(f"fit {name!r}: {wrong[0]!r} cannot be the name or unit of a parameter; a text is needed")
    for key, value in fit.items():
        json_text(f"fit {name}: {key}", value)
    _check_curves(name, fit.get("curves", {}))


def _check_curves(name: str, curves: Any) -> None:
    """Refuse curves of a fit that are no numbers of one length, or have no unit."""
    try:
        lengths = {len(np.asarray(curve["values"], dtype=np.float64)) for curve in curves.values()}
        known = all(isinstance(key, str) and isinstance(curve["unit"], str) for key, curve in curves.items())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise LayoutError(f"fit {name!r}: curves need `unit` and `values` (numbers) each: {error}") from error
    if len(lengths) > 1 or not known:
        raise LayoutError(f"fit {name!r}: curves need a unit and one length, not {sorted(lengths)} values")


def members(mapping: Any) -> dict[str, Any]:
    """All members of a group, or its attributes, by name.

    h5py keeps its global lock while its own views are iterated over. An error in the middle would keep it for as long
    as somebody holds the traceback, and every other thread that uses a file would wait for ever.
    """
    return dict(mapping.items())


def read_fit(group: Any) -> dict[str, Any]:
    """Inverse of `write_fit`: arrays as arrays, `parameters` and `units` as lists of text."""
    fit: dict[str, Any] = {key: values_of(group[key]) for key in _FIT_ARRAYS}
    fit |= {key: list(values_of(group[key])) for key in _FIT_TEXTS}
    fit |= {"chi2": float(group.attrs["chi2"]), "dof": int(group.attrs["dof"])}
    if "curves" in group:
        known = [item for item in members(group["curves"]).items() if item[0] != _POINTS]
        curves = sorted(known, key=lambda item: not item[1].is_scale)  # the abscissa first
        fit["curves"] = {name: {"unit": str(c.attrs["units"]), "values": values_of(c)} for name, c in curves}
    return fit | {
        key: json_value(value) for key, value in members(group.attrs).items() if key not in ("NX_class", "chi2", "dof")
    }


def read_file_metadata(file: Any) -> dict[str, Any]:
    """Parsed attributes of an open HDF5 file, and its number of `rows`.

    Raises
    ------
    ValueError, KeyError
        They are not those of a run.
    RunFileError
        `/data` is in another file.

    """
    return from_attributes(read_attributes(file)) | {"rows": row_count(file)}


# --- what leads out of the file ---------------------------------------------------------------------------------------


def member(group: Any, name: str) -> Any:
    """Look up `name` in an open group, only if it is in the same file.

    Raises
    ------
    KeyError
        There is none.
    RunFileError
        It is a link, or its values are in another file.

    """
    link = group.get(name, getlink=True)
    if link is None:
        raise KeyError(f"it has no {group.name.rstrip('/')}/{name}")
    if foreign := _foreign(group, name, link):
        raise _refused(group.file, f"{group.name.rstrip('/')}/{name}", foreign)
    return group[name]


def check_links(file: Any) -> None:
    """Check that everything in a run's open file is in that file.

    Raises
    ------
    RunFileError
        A link leads elsewhere, or the values of a dataset are in another file.
    Any of DAMAGE
        Something in the file cannot be read.

    """

    def first_fault(name: str, link: Any) -> Exception | None:
        # Soft links of labnis itself: xarray finds the columns at the root by them, NeXus the data in the entry.
        allowed = "/data" if name == "entry/data" else None if "/" in name else f"/data/{name}"
        if isinstance(link, h5py.SoftLink) and link.path == allowed:
            return None
        try:
            foreign = _foreign(file, name, link)
        except DAMAGE as error:
            return error
        return _refused(file, f"/{name}", foreign) if foreign else None

    # h5py passes on what the function returns, but not what it raises.
    if fault := file.visititems_links(first_fault):
        raise fault


def _foreign(group: Any, name: str, link: Any) -> str:
    """Description of what leads out of the file; empty if nothing does."""
    if isinstance(link, h5py.ExternalLink):
        return f"a link to the file {link.filename!r}"
    if isinstance(link, h5py.SoftLink):
        return f"a link to {link.path!r}"
    found = group[name]
    outside = isinstance(found, h5py.Dataset) and (found.external or found.is_virtual)
    return "a dataset whose values are in another file" if outside else ""


def _refused(file: Any, name: str, what: str) -> RunFileError:
    return RunFileError(
        f"{file.filename}: {name} is {what}, which a run's file never has; it is refused. Copy what you trust to a new "
        "file with h5py."
    )
