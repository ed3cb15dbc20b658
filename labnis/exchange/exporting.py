"""A run in the format of another program.

What every format has of a run: its columns with their units, id, procedure, device, cooldown and start, and its results
with both parts of σ, as JSON where the format has no place of its own for them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import xarray

from labnis.errors import RequestError
from labnis.exchange._ddh5 import write_ddh5
from labnis.exchange._qcodes import write_qcodes, write_qcodes_netcdf
from labnis.exchange.copies import copied
from labnis.exchange.origins import record_of_run
from labnis.experiment.run import Run, stored_run

__all__ = ["FORMATS", "export", "without_complex"]


def export(
    path: Path | str, to: str, out: Path, doubts: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[Path]:
    """Write the run at `path` in the format `to` as the file, or with several files into the folder, `out`.

    Parameters
    ----------
    path
        File of the run.
    to
        One of `FORMATS`.
    out
        Does not exist yet; a database of QCoDeS may, and gets one more run.
    doubts
        Analysis → what is said against its fit besides its own warnings, as by the ledger.

    Returns
    -------
    list
        The files.

    Raises
    ------
    RequestError
        The format is unknown, `out` exists, or the run has nothing that the format can hold.
    RunFileError
        The run cannot be read.

    """
    if to not in FORMATS:
        raise RequestError(f"{to!r} is no format; they are {', '.join(FORMATS)}")
    if out.exists() and to != "qcodes":
        raise RequestError(f"{out} exists; give another name")
    run = stored_run(path).doubted(doubts)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        return FORMATS[to](run, out)
    except OSError as error:
        raise RequestError(f"{out}: cannot be written: {error.strerror or error}") from error


def without_complex(data: xarray.Dataset) -> xarray.Dataset:
    """With NAME_re and NAME_im in place of complex columns, which text and netCDF do not have."""
    parts: dict[str, xarray.DataArray] = {}
    for name, column in data.data_vars.items():
        if not np.iscomplexobj(column):
            parts[str(name)] = column
            continue
        for end, values in (("re", column.real), ("im", column.imag)):
            parts[f"{name}_{end}"] = values.assign_attrs(column.attrs)
    return xarray.Dataset(parts, data.coords, data.attrs)


def _csv(run: Run, out: Path) -> list[Path]:
    """One table: a row for each point or, where there are traces, for each point and frequency."""
    data = without_complex(run.data)
    table = data.to_dataframe().reset_index()
    units = {name: data[name].attrs.get("units", "") for name in data.variables}
    names = [f"{name} ({units[name]})" if units.get(name) else str(name) for name in table.columns]
    with out.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {json.dumps(record_of_run(run))}\n")
        table.to_csv(file, index=False, header=names, float_format="%.17g", na_rep="nan")
    return [out]


def _netcdf(run: Run, out: Path) -> list[Path]:
    data = without_complex(run.data)
    known = {"run_id": run.run_id, "procedure": run.procedure, "labnis": json.dumps(record_of_run(run))}
    data.assign_attrs({**{k: v for k, v in data.attrs.items() if v is not None}, **known}).to_netcdf(
        out, engine="h5netcdf"
    )
    return [out]


def _touchstone(run: Run, out: Path) -> list[Path]:
    """One file of version 1 for each trace of S11, with its set-points as comments."""
    data = run.data
    if "s11" not in data:
        raise RequestError(f"{run.path}: touchstone holds S11, and this run has {', '.join(map(str, data.data_vars))}")
    s11 = data["s11"].transpose(..., "frequency")
    traces, frequency = s11.values.reshape(-1, s11.sizes["frequency"]), data["frequency"].values
    out.mkdir(parents=True)
    written = []
    for number, trace in enumerate(traces):
        at = np.unravel_index(number, s11.shape[:-1])
        places = [
            f"! {dim} = {data[dim].values[i]:.9g} {data[dim].attrs.get('units', '')}"
            for dim, i in zip(s11.dims[:-1], at, strict=True)
            if dim in data.coords
        ]
        rows = [f"{f:.17g} {s.real:.17g} {s.imag:.17g}" for f, s in zip(frequency, trace, strict=True)]
        lines = [f"! labnis {json.dumps(record_of_run(run))}", *places, "# Hz S RI R 50", *rows]
        file = out / f"{run.run_id}-{number:04}.s1p"
        file.write_text("\n".join(lines) + "\n", encoding="ascii")
        written.append(file)
    return written


def _nexus(run: Run, out: Path) -> list[Path]:
    """The file itself: its layout is NXroot, NXentry, NXdata."""
    return [copied(run, out)]


FORMATS: Mapping[str, Callable[[Run, Path], list[Path]]] = {
    "csv": _csv,
    "netcdf": _netcdf,
    "touchstone": _touchstone,
    "qcodes": lambda run, out: write_qcodes(run, out, record_of_run(run)),
    "qcodes-netcdf": lambda run, out: write_qcodes_netcdf(run, out, record_of_run(run)),
    "ddh5": lambda run, out: write_ddh5(run, out, record_of_run(run)),
    "nexus": _nexus,
}
"""Name → function of a run and the file, or folder, to write."""
