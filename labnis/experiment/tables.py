"""Columns of other programs as those of a run: in its units, S11 as complex numbers, and rows apart from traces."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray

from labnis.errors import RequestError
from labnis.experiment.units import UNITS, Column, converted, headed, listed

__all__ = ["FREQUENCY", "Kind", "as_dataset", "given", "shaped", "traces_in", "wanted"]

Numbers = NDArray[Any]

FREQUENCY = "frequency"
# Ways to write a scattering parameter, and what the two parts of each are together.
_FORMS: Mapping[tuple[str, str], Callable[[Numbers, Numbers], Numbers]] = {
    ("re", "im"): lambda re, im: re + 1j * im,
    ("mag", "rad"): lambda size, angle: size * np.exp(1j * angle),
    ("mag", "deg"): lambda size, angle: size * np.exp(1j * np.deg2rad(angle)),
    ("db", "rad"): lambda size, angle: 10 ** (size / 20) * np.exp(1j * angle),
    ("db", "deg"): lambda size, angle: 10 ** (size / 20) * np.exp(1j * np.deg2rad(angle)),
}


@dataclass(frozen=True)
class Kind:
    """What a procedure measures: columns that it needs and that it may have, its traces, and its analyses.

    The signal is the trace, or else the second column.
    """

    needed: tuple[str, ...]
    also: tuple[str, ...] = ()
    trace: str = ""
    analyses: tuple[str, ...] = ()
    procedure_class: str = ""

    @property
    def signal(self) -> str:
        """Name of the column that figures show."""
        return self.trace or self.needed[1]


# Columns of which one value is that of all rows.
_CONSTANT = ("center", "bandwidth", "excitation", "fridge_temperature")


def given(source: Any) -> dict[str, Column]:
    """Columns of a mapping, a DataFrame (index included) or a Dataset, with their units, also of names like "V (mV)".

    Raises
    ------
    RequestError
        It is something else.

    """
    framed = hasattr(source, "iloc") and hasattr(source, "columns")  # a DataFrame
    if not (framed or isinstance(source, xarray.Dataset | Mapping)):
        raise RequestError(
            f"the data are a {type(source).__name__}; give a Dataset, a DataFrame, or a mapping of names to columns"
        )
    if framed and source.index.names != [None]:
        source = source.reset_index()
    if isinstance(source, xarray.Dataset):
        names = {
            str(n): (str(n), str(c.attrs.get("units", c.attrs.get("unit", "")))) for n, c in source.variables.items()
        }
    else:
        names = dict(zip(source, headed([str(name) for name in source]), strict=True))
    found: dict[str, Column] = {}
    for own, (name, unit) in names.items():
        values = np.asarray(source[own])
        parts = {"_re": values.real, "_im": values.imag} if np.iscomplexobj(values) else {"": values}
        found |= {f"{name}{end}": Column(part, unit or UNITS.get(f"{name}{end}", "")) for end, part in parts.items()}
    return found


def wanted(
    of: Kind, read: Mapping[str, Column], names: Mapping[str, str], where: str, resonator: str = "reflection"
) -> dict[str, Numbers]:
    """The columns that a run has, in its units; S11, or S21 where the `resonator` is not in reflection, as `s11`.

    A power in a `noise_bandwidth` is one per hertz as `spectrum`.

    Raises
    ------
    RequestError
        A column is missing, or its unit is not known or cannot be converted.

    """
    port = _port(resonator, {*read, *names})
    parts = {f"{port}_{end}" for form in _FORMS for end in form} if of.trace == "s11" else {of.trace}
    known = {*of.needed, *of.also, *parts, *([FREQUENCY] if of.trace else [])}
    for name in names:
        if name not in known:
            own = ", ".join(one for one in UNITS if one in known)
            raise RequestError(f"--columns {name}: it is no column of a run; they are {own}{_other_port(port, names)}")
    asked = {name: names.get(name, name) for name in UNITS if name in names or (name in read and name in known)}
    width = "noise_bandwidth"
    bandwidth = converted(width, asked[width], read, where) if width in asked else None
    found = {name: converted(name, text, read, where, bandwidth) for name, text in asked.items()}
    if of.trace == "s11":
        found["s11"] = _scattered(port, found, read, where)
    needed = [*of.needed, *([FREQUENCY, of.trace] if of.trace else [])]
    if missing := [name for name in needed if name not in found]:
        stated = " A band that is no column: --band 4.67GHz,140MHz (centre and bandwidth)." * ("center" in missing)
        stated += " An excitation that is no column: --excitation 20uV (rms)." * ("excitation" in missing)
        raise RequestError(
            f"{where}: {', '.join(missing)} missing; there are {listed(read)}. Name them, such as "
            f'--columns "{missing[0]}=NAME (UNIT)".{stated}'
        )
    return {name: found[name] for name in (*needed, *of.also) if name in found}


def _port(resonator: str, names: Set[str]) -> str:
    """Beginning of the columns with the trace: S21 past or through a resonator, unless it is called S11 there."""
    there = [port for port in ("s21", "s11") if any(name.startswith(f"{port}_") for name in names)]
    return "s11" if resonator == "reflection" else [*there, "s21"][0]


def _other_port(port: str, names: Iterable[str]) -> str:
    through = port == "s11" and any(name.startswith("s21_") for name in names)
    return "; S21 is the trace of a resonator that is a hanger or in transmission (--resonator)" * through


def _scattered(port: str, found: Mapping[str, Numbers], read: Mapping[str, Column], where: str) -> Numbers:
    """The trace by the two columns that it is written in."""
    forms = {(f"{port}_{one}", f"{port}_{other}"): joined for (one, other), joined in _FORMS.items()}
    pairs = [pair for pair in forms if set(pair) <= found.keys()]
    if len(pairs) != 1:
        raise RequestError(
            f"{where}: {port.upper()} is needed as one of {', '.join(' and '.join(pair) for pair in forms)}; found "
            f"{', '.join(name for name in found if name.startswith(port)) or 'none'} among {listed(read)}"
            f"{_other_port(port, read)}"
        )
    (pair,) = pairs
    return forms[pair](*(found[name] for name in pair))


def shaped(of: Kind, found: Mapping[str, Numbers]) -> tuple[dict[str, Numbers], Numbers | None]:
    """Columns of n rows, traces of n × m, and the m frequencies; a long table has a row for each of n·m."""
    if not of.trace:
        longest = max((values.size for values in found.values()), default=0)
        alike = [name for name in _CONSTANT if name in found and found[name].size == 1]
        found = {**found, **{name: np.full(longest, found[name]) for name in alike}}
        sizes = {name: values.shape for name, values in found.items()}
        if len(set(sizes.values())) > 1:
            raise RequestError(f"columns have different lengths: {', '.join(f'{n} {s}' for n, s in sizes.items())}")
        return found, None
    frequency, traces = found[FREQUENCY], found[of.trace]
    if not np.isfinite(frequency).all():
        raise RequestError(f"frequency is no number in {np.sum(~np.isfinite(frequency))} places of {frequency.size}")
    others = {name: values for name, values in found.items() if name not in (FREQUENCY, of.trace)}
    if frequency.ndim > 1 and frequency.shape == traces.shape:  # a grid, with its axes as large as itself
        others = {name: values.ravel() if values.shape == traces.shape else values for name, values in others.items()}
        frequency, traces = frequency.ravel(), traces.ravel()
    if traces.ndim == 1:
        turns = np.flatnonzero(frequency == frequency[0])
        length = int(turns[1]) if turns.size > 1 else frequency.size
        if traces.size % length or not (frequency.reshape(-1, length) == frequency[:length]).all():
            raise RequestError("the frequencies are not the same in every trace")
        frequency, traces = frequency[:length], traces.reshape(-1, length)
        others = {
            name: values.reshape(-1, length)[:, 0] if values.size == traces.size else values
            for name, values in others.items()
        }
    if frequency.ndim != 1 or traces.shape[-1] != frequency.size:
        raise RequestError(f"{of.trace} has the shape {traces.shape}, and there are {frequency.size} frequencies")
    traces = traces.reshape(-1, frequency.size)
    wrong = {name: values.size for name, values in others.items() if values.size not in (1, len(traces))}
    if wrong:
        raise RequestError(f"there are {len(traces)} traces, and {', '.join(f'{n} of {s}' for n, s in wrong.items())}")
    rows = {name: np.broadcast_to(values.ravel(), len(traces)) for name, values in others.items()}
    order = np.argsort(frequency, kind="stable")
    if (np.diff(frequency[order]) == 0).any():
        raise RequestError("a frequency occurs twice in a trace")
    return {**rows, of.trace: traces[:, order]}, frequency[order]


def as_dataset(values: Mapping[str, Numbers], frequency: Numbers | None) -> xarray.Dataset:
    """Columns of n rows, and traces of n × m, as a Dataset along `point`."""
    columns = {name: (("point", FREQUENCY)[: column.ndim], column) for name, column in values.items()}
    return xarray.Dataset(columns, {} if frequency is None else {FREQUENCY: frequency})


def traces_in(
    read: Mapping[str, Column], names: Mapping[str, str], where: str, trace: str, resonator: str
) -> xarray.Dataset:
    """The `trace` (spectrum or s11) along `frequency`, and the voltage of each where it has a unit.

    Raises
    ------
    RequestError
        A column is missing, its unit is not known or cannot be converted, or lengths do not fit.

    """
    stated = [one for one in ("bias", "device_voltage") if one in names or (one in read and read[one].unit)]
    of = Kind((), ("noise_bandwidth", *stated), trace)
    values, frequency = shaped(of, wanted(of, read, names, where, resonator))
    found = as_dataset(values, frequency).set_coords(stated)
    for name in found.variables.keys() & UNITS.keys():
        found[name].attrs["units"] = UNITS[str(name)]
    return found
