"""Data of another program as a run: its file, its fit, and everything that runs have."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from labnis import __version__
from labnis.errors import RequestError
from labnis.exchange._units import UNITS, converted, listed
from labnis.exchange.reading import Column as Read
from labnis.exchange.reading import is_simulated, read_columns
from labnis.experiment.analysis import Analysis, analyse, analyses_of_run, published, published_name
from labnis.experiment.calibrations import Prior, checked_priors, chosen_priors, records_of
from labnis.experiment.curves import record_of
from labnis.experiment.run import Run
from labnis.fit import FitContext, FitResult
from labnis.ledger import Ledger
from labnis.storage import Axis, Column, RunMetadata, RunWriter, collect_environment

__all__ = ["KINDS", "import_run"]

Numbers = NDArray[Any]

_FREQUENCY = "frequency"
# Ways to write S11, and what the two parts of each are together.
_S11: Mapping[tuple[str, str], Callable[[Numbers, Numbers], Numbers]] = {
    ("s11_re", "s11_im"): lambda re, im: re + 1j * im,
    ("s11_mag", "s11_rad"): lambda size, angle: size * np.exp(1j * angle),
    ("s11_mag", "s11_deg"): lambda size, angle: size * np.exp(1j * np.deg2rad(angle)),
    ("s11_db", "s11_rad"): lambda size, angle: 10 ** (size / 20) * np.exp(1j * angle),
    ("s11_db", "s11_deg"): lambda size, angle: 10 ** (size / 20) * np.exp(1j * np.deg2rad(angle)),
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


KINDS: Mapping[str, Kind] = {
    "IVSweep": Kind(
        ("device_voltage", "current"),
        ("conductance", "excitation", "fridge_temperature", "time"),
        "",
        ("labnis.fit.analyses.CurrentVoltage",),
        "procedures.iv_sweep.IVSweep",
    ),
    "ReflectionVsBias": Kind(
        ("device_voltage",),
        ("current", "fridge_temperature", "time"),
        "s11",
        ("labnis.fit.analyses.Reflection",),
        "procedures.reflection_vs_bias.ReflectionVsBias",
    ),
    "EmittedPowerVsBias": Kind(
        ("device_voltage",),
        ("current", "fridge_temperature", "noise_bandwidth", "time"),
        "spectrum",
        ("labnis.fit.analyses.EmittedPower",),
        "procedures.emitted_power_vs_bias.EmittedPowerVsBias",
    ),
    "Resonance": Kind((), ("fridge_temperature",), "s11", ("labnis.fit.analyses.Resonance",)),
}
"""Procedure → what is imported as one."""

# The same with a power in one band in the place of spectra.
_IN_A_BAND: Mapping[str, Kind] = {
    "EmittedPowerVsBias": Kind(
        ("device_voltage", "band_power", "center", "bandwidth"),
        ("current", "fridge_temperature", "time"),
        "",
        ("labnis.fit.analyses.BandPower",),
        "procedures.emitted_power_vs_bias.EmittedPowerVsBias",
    ),
}
# Columns of which one value is that of all rows.
_CONSTANT = ("center", "bandwidth", "fridge_temperature")


def import_run(  # noqa: PLR0913  # all but three are optional
    source: Path | str | Mapping[str, ArrayLike] | xarray.Dataset,
    kind: str,
    *,
    data: Path | str,
    columns: Mapping[str, str] | None = None,
    device: str | Mapping[str, Any] = "",
    series_resistance: float = 0.0,
    band: tuple[float, float] | None = None,
    cooldown: str = "imported",
    start: datetime | None = None,
    priors_from: Sequence[Path | str] = (),
    ledger: Ledger | None = None,
    tags: Sequence[str] = (),
    note: str = "",
) -> Run:
    """Write data of another program as a run into the folder `data`, and fit it.

    Parameters
    ----------
    source
        A file (see `labnis.exchange.reading`), or columns by name: a mapping of arrays, a DataFrame or a Dataset, whose
        numbers are in SI units unless `columns` says another one.
    kind
        One of `KINDS`, as which it is read.
    data
        Folder for the run.
    columns
        What is needed → its name in the source, with its unit in brackets where the source does not say it, or is
        wrong: {"device_voltage": "V (mV)", "current": "I (nA)"}. Without, columns have the names that are needed.
        S11 is s11_re and s11_im, or s11_mag or s11_db with s11_rad or s11_deg.
    device
        Its name, or the section `device` of a station file, such as {"name": "A7", "junctions": 1}. With "resonator"
        as "hanger" or "transmission" the trace is S21, from s21_re and s21_im if there are any.
    series_resistance
        Of the line (ohm), if the voltage is that across line and device: its part is subtracted.
    band
        Middle and noise bandwidth (Hz) in which the power of `band_power` was measured, where they are no columns
        (center and bandwidth).
    cooldown, start
        To which it belongs, and when it was measured; by default the time of the file.
    priors_from
        Runs with fits that the analysis needs, of the same device. Those of another cooldown or line are in doubt.
    ledger
        Where it is looked up whether these were revoked.
    tags, note
        Words to search for, and a comment.

    Returns
    -------
    Run
        As of a measurement.

    Raises
    ------
    RequestError
        A column or the band is missing, a unit is not known or cannot be converted, or lengths do not fit; or a run
        in `priors_from` cannot be one. Nothing is written.
    StorageError
        The run cannot be written.

    """
    if kind not in KINDS:
        raise RequestError(f"{kind!r} is no kind of run; they are {', '.join(KINDS)}")
    path = Path(source) if isinstance(source, Path | str) else None
    read = read_columns(path) if path is not None else _given(source)
    of = _kind(kind, {*read, *(columns or {})})
    if band is not None:
        read = _with_band(of, read, columns or {}, band)
    described = {"name": device} if isinstance(device, str) else dict(device)
    if described.get("resonator", "reflection") != "reflection":
        read = _with_transmission(read)
    found = _wanted(of, read, columns or {}, str(path or "the columns"))
    values, frequency = _shaped(of, found)
    if series_resistance:
        if not {"device_voltage", "current"} <= values.keys():
            raise RequestError("series_resistance: without voltage and current its part cannot be subtracted")
        values["device_voltage"] = values["device_voltage"] - series_resistance * values["current"]
    stage = values["fridge_temperature"] if "fridge_temperature" in values else np.full(1, np.nan)
    known = stage[np.isfinite(stage)]
    wiring = {"series_resistance": series_resistance, "divider": 1.0}
    attributes = source.attrs if isinstance(source, xarray.Dataset) else {}
    simulated = is_simulated(path) if path is not None else bool(attributes.get("simulated", False))
    runs, name = [Path(run) for run in priors_from], str(described.get("name", ""))
    chosen = chosen_priors(runs, cooldown, device=name, wiring=wiring, dry_run=simulated, ledger=ledger)
    priors = checked_priors(chosen, simulated=simulated)
    context = FitContext(
        wiring=wiring,
        device=described,
        fridge_temperature=float(np.median(known)) if known.size else np.nan,
    )
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone() if path else datetime.now().astimezone()
    said = note or (f"imported from {path}" if path else "imported")
    metadata = _metadata(kind, of, context, priors, start or written, cooldown)
    metadata = replace(metadata, simulated=simulated, tags=list(tags), note=said)
    fits = {name: prior.fit for name, prior in priors.items() if prior.fit is not None}
    return _written(Path(data), metadata, values, frequency, of.signal, context, fits)


def _kind(kind: str, names: Set[str]) -> Kind:
    """What is imported as `kind` from columns with these `names`: powers in a band where there are no spectra."""
    return _IN_A_BAND[kind] if kind in _IN_A_BAND and "band_power" in names and "spectrum" not in names else KINDS[kind]


def _with_band(
    of: Kind, read: Mapping[str, Read], names: Mapping[str, str], band: tuple[float, float]
) -> dict[str, Read]:
    """Columns with the stated `band`; RequestError where they need none, or have one."""
    if of not in _IN_A_BAND.values():
        raise RequestError("band: it is that of band_power of EmittedPowerVsBias without spectra; leave it out")
    if own := [name for name in ("center", "bandwidth") if name in read or name in names]:
        raise RequestError(f"band: there is a column {' and '.join(own)}, too; state the band once")
    center, width = band
    if not 0 < width < 2 * center:
        raise RequestError(f"band: {width:.6g} Hz around {center:.6g} Hz is none; give centre and bandwidth")
    return {**read, "center": Read(np.array([center]), "Hz"), "bandwidth": Read(np.array([width]), "Hz")}


def _given(source: Any) -> dict[str, Read]:
    """Columns of a mapping, a DataFrame or a Dataset; units only of the last."""
    found: dict[str, Read] = {}
    for name in source.variables if isinstance(source, xarray.Dataset) else source:
        column = source[name]
        unit = str(column.attrs.get("units", "")) if isinstance(column, xarray.DataArray) else ""
        values = np.asarray(column)
        parts = {"_re": values.real, "_im": values.imag} if np.iscomplexobj(values) else {"": values}
        found |= {f"{name}{end}": Read(part, unit or UNITS.get(f"{name}{end}", "")) for end, part in parts.items()}
    return found


def _with_transmission(read: Mapping[str, Read]) -> dict[str, Read]:
    """Columns with S21 in the place of S11, which is the trace of a run."""
    through = {f"s11{name[3:]}": column for name, column in read.items() if name.startswith("s21_")}
    others = {name: column for name, column in read.items() if not (through and name.startswith(("s11_", "s21_")))}
    return others | through


def _wanted(of: Kind, read: Mapping[str, Read], names: Mapping[str, str], where: str) -> dict[str, Numbers]:
    """The columns that a run has, in its units; S11 as complex numbers."""
    for name in names:
        if name not in UNITS:
            raise RequestError(f"--columns {name}: it is no column of a run; they are {', '.join(UNITS)}")
    parts = {part for pair in _S11 for part in pair} if of.trace == "s11" else {of.trace}
    known = {*of.needed, *of.also, *parts, *([_FREQUENCY] if of.trace else [])}
    asked = {name: names.get(name, name) for name in UNITS if name in names or (name in read and name in known)}
    found = {name: converted(name, text, read, where) for name, text in asked.items()}
    if of.trace == "s11":
        pairs = [pair for pair in _S11 if set(pair) <= found.keys()]
        if len(pairs) != 1:
            raise RequestError(
                f"{where}: S11 is needed as one of {', '.join(' and '.join(pair) for pair in _S11)}; found "
                f"{', '.join(name for name in found if name.startswith('s11')) or 'none'} among {listed(read)}"
            )
        (pair,) = pairs
        found["s11"] = _S11[pair](*(found[name] for name in pair))
    needed = [*of.needed, *([_FREQUENCY, of.trace] if of.trace else [])]
    if missing := [name for name in needed if name not in found]:
        stated = " A band that is no column: --band 4.67GHz,140MHz (centre and bandwidth)." * ("center" in missing)
        raise RequestError(
            f"{where}: {', '.join(missing)} missing; there are {listed(read)}. Name them, such as "
            f'--columns "{missing[0]}=NAME (UNIT)".{stated}'
        )
    return {name: found[name] for name in (*needed, *of.also) if name in found}


def _shaped(of: Kind, found: Mapping[str, Numbers]) -> tuple[dict[str, Numbers], Numbers | None]:
    """Columns of n rows, traces of n × m, and the m frequencies; a long table has a row for each of n·m."""
    if not of.trace:
        longest = max((values.size for values in found.values()), default=0)
        alike = [name for name in _CONSTANT if name in found and found[name].size == 1]
        found = {**found, **{name: np.full(longest, found[name]) for name in alike}}
        sizes = {name: values.shape for name, values in found.items()}
        if len(set(sizes.values())) > 1:
            raise RequestError(f"columns have different lengths: {', '.join(f'{n} {s}' for n, s in sizes.items())}")
        return found, None
    frequency, traces = found[_FREQUENCY], found[of.trace]
    if not np.isfinite(frequency).all():
        raise RequestError(f"frequency is no number in {np.sum(~np.isfinite(frequency))} places of {frequency.size}")
    others = {name: values for name, values in found.items() if name not in (_FREQUENCY, of.trace)}
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


def _metadata(
    kind: str, of: Kind, context: FitContext, priors: Mapping[str, Prior], begun: datetime, cooldown: str
) -> RunMetadata:
    analyses = analyses_of_run({"analyses": of.analyses})
    return RunMetadata(
        procedure=kind,
        procedure_class=of.procedure_class,
        parameters={},
        start=begun,
        environment=collect_environment(),
        simulated=False,
        wiring=dict(context.wiring),
        cooldown=cooldown,
        calibrations=records_of(priors),
        analyses=list(of.analyses),
        context={
            "fit": context.as_json(),
            "priors": {name: prior.fit.as_record() for name, prior in priors.items() if prior.fit is not None},
            "results": {published_name(a, name): [a.name, name] for a in analyses for name in a.results},
        },
    )


def _written(
    data: Path,
    metadata: RunMetadata,
    values: Mapping[str, Numbers],
    frequency: Numbers | None,
    signal: str,
    context: FitContext,
    priors: Mapping[str, FitResult],
) -> Run:
    """The file of the run, with its fits."""
    axes = [] if frequency is None else [Axis(_FREQUENCY, "Hz", "Frequency", frequency)]
    columns = [_column(name, column) for name, column in values.items()]
    data.mkdir(parents=True, exist_ok=True)
    writer = RunWriter(data, metadata, columns, signal=signal, axes=axes)
    try:
        for row in zip(*values.values(), strict=True):
            writer.append(dict(zip(values, row, strict=True)))
        writer.flush()
        dataset = _dataset(values, frequency)
        analyses: Sequence[Analysis] = analyses_of_run({"analyses": metadata.analyses})
        fits, problems = analyse(analyses, dataset, context, priors)
        for analysis in analyses:
            if analysis.name in fits:
                record = record_of(analysis, fits[analysis.name], dataset, None)
                writer.write_fit(analysis.name, record | {"code_version": __version__})
        writer.finish("done")
    except BaseException:
        writer.finish("failed", "the import ended")
        raise
    return Run(
        writer.path, writer.run_id, metadata.procedure, "done", writer.rows, fits, problems, published(analyses, fits)
    )


def _column(name: str, values: Numbers) -> Column:
    unit = "1" if name == "s11" else UNITS[name]
    trace = (_FREQUENCY,) if values.ndim > 1 else ()
    return Column(name, unit, name.replace("_", " ").capitalize(), trace, complex if np.iscomplexobj(values) else float)


def _dataset(values: Mapping[str, Numbers], frequency: Numbers | None) -> xarray.Dataset:
    columns = {name: (("point", _FREQUENCY)[: column.ndim], column) for name, column in values.items()}
    return xarray.Dataset(columns, {} if frequency is None else {_FREQUENCY: frequency})
