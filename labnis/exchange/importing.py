"""Data of another program as a run: its file, its fit, and everything that runs have."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from labnis import __version__
from labnis.errors import RequestError
from labnis.exchange._times import time_in
from labnis.exchange.origins import Origin, origin_in, origin_of
from labnis.exchange.reading import is_simulated, read_columns
from labnis.experiment.analysis import Analysis, analyse, analyses_of_run, published, published_name
from labnis.experiment.calibrations import Prior, checked_priors, chosen_priors, records_of
from labnis.experiment.curves import record_of
from labnis.experiment.run import Run
from labnis.experiment.tables import FREQUENCY, Kind, as_dataset, given, shaped, wanted
from labnis.experiment.units import UNITS
from labnis.experiment.units import Column as ReadColumn
from labnis.fit import FitContext, FitResult
from labnis.ledger import Ledger
from labnis.storage import Axis, Column, RunMetadata, RunWriter, collect_environment

__all__ = ["KINDS", "import_run"]

Numbers = NDArray[Any]

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

# The same with a power in one band in the place of spectra, and with the conductance in the place of the current.
_IN_A_BAND = Kind(
    ("device_voltage", "band_power", "center", "bandwidth"),
    ("current", "fridge_temperature", "time"),
    "",
    ("labnis.fit.analyses.BandPower",),
    "procedures.emitted_power_vs_bias.EmittedPowerVsBias",
)
_WITHOUT_CURRENT = Kind(
    ("device_voltage", "conductance", "excitation"),
    ("fridge_temperature", "time"),
    "",
    ("labnis.fit.analyses.DifferentialConductance",),
    "procedures.iv_sweep.IVSweep",
)
# What is stated of all rows, for lack of columns → what it is, and the kind of data that it belongs to.
_STATED: Mapping[str, tuple[tuple[str, ...], Kind, str]] = {
    "band": (("center", "bandwidth"), _IN_A_BAND, "band_power of EmittedPowerVsBias without spectra"),
    "excitation": (("excitation",), _WITHOUT_CURRENT, "conductance of IVSweep without a current"),
}
# What else the fits take of the data of a run: plan, ranges of the meters, and the power over spectra.
_OF_A_RUN = ("bias", "voltage_range", "current_range", "band_power")


def import_run(  # noqa: PLR0913  # all but three are optional
    source: Path | str | Mapping[str, ArrayLike] | xarray.Dataset,
    kind: str,
    *,
    data: Path | str,
    columns: Mapping[str, str] | None = None,
    device: str | Mapping[str, Any] = "",
    series_resistance: float = 0.0,
    band: Sequence[float] | None = None,
    excitation: float | None = None,
    cooldown: str = "",
    start: datetime | None = None,
    priors_from: Sequence[Path | str] = (),
    ledger: Ledger | None = None,
    tags: Sequence[str] = (),
    note: str = "",
) -> Run:
    """Write data of another program as a run into the folder `data`, and fit it.

    What labnis has exported comes back with the time, device, cooldown, line, tags and priors of its run, as far as
    they are not given.

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
        as "hanger" or "transmission" the trace is S21, of columns s21_db and s21_deg, for example.
    series_resistance
        Of the line (ohm), if the voltage is that across line and device: its part is subtracted.
    band
        Two numbers: middle and noise bandwidth (Hz) in which the power of `band_power` was measured, where they are no
        columns (center and bandwidth).
    excitation
        Of the lock-in (V rms, at the device), where `conductance` was measured without a current, and it is no column.
    cooldown, start
        To which it belongs ("imported" by default), and when it was measured; by default the time that the file says,
        or else that of the file, or of the import, which a note tells.
    priors_from
        Runs with fits that the analysis needs, of the same device. Those of another cooldown or line are in doubt.
    ledger
        Where it is looked up whether these were revoked, and when the cooldown was.
    tags, note
        Words to search for, and a comment.

    Returns
    -------
    Run
        As of a measurement.

    Raises
    ------
    RequestError
        A column, the band or the excitation is missing, a unit is not known or cannot be converted, or lengths do not
        fit; a run in `priors_from` cannot be one; the part of the line is subtracted already; or the data were not
        measured in the cooldown, by the ledger. Nothing is written.
    StorageError
        The run cannot be written.

    """
    if kind not in KINDS:
        raise RequestError(f"{kind!r} is no kind of run; they are {', '.join(KINDS)}")
    path = Path(source) if isinstance(source, Path | str) else None
    told: list[str] = []
    read = read_columns(path, told) if path is not None else given(source)
    attributes = source.attrs if isinstance(source, xarray.Dataset) else {}
    origin = origin_of(path) if path is not None else origin_in(attributes)
    stated = is_simulated(path) if path is not None else bool(attributes.get("simulated", False))
    simulated = stated or (origin is not None and origin.simulated)
    of = _kind(kind, {*read, *(columns or {})})
    if band is not None:
        read = _with_stated("band", band, of, read, columns or {})
    if excitation is not None:
        read = _with_stated("excitation", (excitation,), of, read, columns or {})
    if origin is not None:
        more = [name for name in _OF_A_RUN if name in read and read[name].unit == UNITS[name] and name not in of.needed]
        of = replace(of, also=(*of.also, *more))
    context = _context(origin, {"name": device} if isinstance(device, str) else device, series_resistance)
    found = wanted(of, read, columns or {}, str(path or "the columns"), context.resonator)
    values, frequency = shaped(of, found)
    if series_resistance:
        if not {"device_voltage", "current"} <= values.keys():
            raise RequestError("series_resistance: without voltage and current its part cannot be subtracted")
        values["device_voltage"] = values["device_voltage"] - series_resistance * values["current"]
    if origin is not None and origin.context is None:
        told.append("its export does not say line and priors, as that of an earlier labnis: export the run again")
    if origin is None or origin.context is None:
        stage = values["fridge_temperature"] if "fridge_temperature" in values else np.full(1, np.nan)
        known = stage[np.isfinite(stage)]
        context = replace(context, fridge_temperature=float(np.median(known)) if known.size else np.nan)
    name = str(context.device.get("name", ""))
    begun = _begun(path, start, origin, told)
    told += _otherwise(origin, cooldown, start)
    cooldown = cooldown or (origin.cooldown if origin is not None else "") or "imported"
    if ledger is not None:
        _check_cooldown(ledger.of_device(name), cooldown, begun)
    chosen = chosen_priors(
        [Path(run) for run in priors_from],
        cooldown,
        device=name,
        wiring=context.wiring,
        dry_run=simulated,
        ledger=ledger,
    )
    priors = dict(origin.priors if origin is not None else {}) | checked_priors(chosen, simulated=simulated)
    metadata = replace(
        _metadata(kind, of, context, priors, begun, cooldown),
        simulated=simulated,
        tags=list(tags or (origin.tags if origin is not None else ())),
        note="; ".join([note or _imported(path, origin), *told]),
    )
    if origin is not None:
        known_before = {**origin.further, **metadata.context}
        metadata = replace(metadata, instruments=origin.instruments, seed=origin.seed, context=known_before)
    fits = {name: prior.fit for name, prior in priors.items() if prior.fit is not None}
    doubts = _doubts(origin, ledger)
    run = _written(Path(data), metadata, values, frequency, of.signal, context, fits, doubts)
    return replace(run, notes=tuple(told))


def _doubts(origin: Origin | None, ledger: Ledger | None) -> dict[str, tuple[str, ...]]:
    """Analysis → doubts about its fit, by the export and, if its run has been revoked, by the `ledger`."""
    found = dict(origin.warnings) if origin is not None else {}
    entries = ledger.calibrations(run_id=origin.run_id) if origin is not None and ledger is not None else []
    for one in (entry for entry in entries if entry.revoked is not None):
        told = f"the run that it was exported from was revoked: {one.reason}"
        found[one.analysis] = tuple(dict.fromkeys((*found.get(one.analysis, ()), told)))
    return found


def _context(origin: Origin | None, device: Mapping[str, Any], series_resistance: float) -> FitContext:
    """Conditions of the fit: those of the exported run, or else what is said of device and line."""
    if origin is not None and origin.device and device.get("name", "") not in ("", origin.device):
        raise RequestError(
            f"device: the data are those of run {origin.run_id} of the device {origin.device!r}, and no data of "
            f"{device['name']!r}; leave it out"
        )
    if origin is None or origin.context is None:
        own = {"name": origin.device} if origin is not None else {}
        wiring = {"series_resistance": series_resistance, "divider": 1.0}
        return FitContext(wiring=wiring, device=own | {name: value for name, value in device.items() if value != ""})
    if series_resistance:
        raise RequestError(
            f"series_resistance: the data are those of run {origin.run_id}, in which the part of the line, "
            f"{origin.context.series_resistance:g} ohm, is subtracted already; leave it out"
        )
    stated = {name: value for name, value in device.items() if value != ""}
    return replace(origin.context, device={**origin.context.device, **stated})


def _begun(path: Path | None, start: datetime | None, origin: Origin | None, told: list[str]) -> datetime:
    """When the data were measured, and, where nobody has said it, by what that is `told`."""
    if start is not None:
        if start.tzinfo is None:
            raise RequestError(f"start: {start} has no time zone; give one, such as by .astimezone()")
        if start > datetime.now(UTC):
            raise RequestError(
                f"start: {start.astimezone():%Y-%m-%d %H:%M} is in the future; give the time of the measurement"
            )
        return start
    if origin is not None:
        return origin.start
    said = time_in(path) if path is not None else None
    if said is not None and said[0] <= datetime.now(UTC):
        begun, place = said
        told.append(f"measured at {begun.astimezone():%Y-%m-%d %H:%M} by {place} of the file")
        return begun
    begun = datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone() if path else datetime.now().astimezone()
    what = "when the file was written" if path else "that of the import"
    told.append(
        f"the time of the measurement is not known: {begun.astimezone():%Y-%m-%d %H:%M}, {what}, is taken for it; "
        "--start (start in Python) says another one"
    )
    return begun


def _otherwise(origin: Origin | None, cooldown: str, start: datetime | None) -> list[str]:
    """What is given in the place of what the export says."""
    pairs = {"cooldown": (cooldown, origin.cooldown), "start": (start, origin.start)} if origin is not None else {}
    return [f"{what} is {own}, and the export says {its}" for what, (own, its) in pairs.items() if own and own != its]


def _imported(path: Path | None, origin: Origin | None) -> str:
    return " ".join(
        ["imported", *([f"from {path.name}"] if path else []), *([f"(run {origin.run_id})"] if origin else [])]
    )


def _check_cooldown(ledger: Ledger, name: str, begun: datetime) -> None:
    """RequestError where the `ledger` has the cooldown at another time; one that was never begun has no time."""
    for one in ledger.cooldowns():
        if (one.device, one.name) != (ledger.device, name) or one.started == one.ended:
            continue
        if begun < one.started or (one.ended is not None and begun > one.ended):
            ended = "now" if one.ended is None else f"{one.ended.astimezone():%Y-%m-%d %H:%M}"
            raise RequestError(
                f"the data were measured at {begun.astimezone():%Y-%m-%d %H:%M}, and the cooldown {name} of the ledger "
                f"is from {one.started.astimezone():%Y-%m-%d %H:%M} to {ended}; give the right start, or a cooldown "
                "of another name"
            )


def _kind(kind: str, names: Set[str]) -> Kind:
    """What is imported as `kind` from columns with these `names`."""
    if kind == "EmittedPowerVsBias" and "band_power" in names and "spectrum" not in names:
        return _IN_A_BAND
    return _WITHOUT_CURRENT if kind == "IVSweep" and "conductance" in names and "current" not in names else KINDS[kind]


def _with_stated(
    what: str, numbers: Sequence[float], of: Kind, read: Mapping[str, ReadColumn], names: Mapping[str, str]
) -> dict[str, ReadColumn]:
    """Columns with the `numbers` that are stated; RequestError where they need none, or have one."""
    columns, belongs, data = _STATED[what]
    if of is not belongs:
        raise RequestError(f"{what}: it is that of {data}; name these columns, or leave it out")
    if own := [name for name in columns if name in read or name in names]:
        raise RequestError(f"{what}: there is a column {' and '.join(own)}, too; state it once")
    right = len(numbers) == len(columns) and all(0 < number < np.inf for number in numbers)
    if not right or (what == "band" and numbers[1] >= 2 * numbers[0]):
        shown = ", ".join(f"{number:.6g}" for number in numbers)
        raise RequestError(f"{what}: {shown} cannot be; give {' and '.join(f'{n} in {UNITS[n]}' for n in columns)}")
    found = {name: ReadColumn(np.array([number]), UNITS[name]) for name, number in zip(columns, numbers, strict=True)}
    return {**read, **found}


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
    doubts: Mapping[str, tuple[str, ...]],
) -> Run:
    """The file of the run, with its fits, which also have the `doubts` of the exported one."""
    axes = [] if frequency is None else [Axis(FREQUENCY, "Hz", "Frequency", frequency)]
    columns = [_column(name, column, context.resonator) for name, column in values.items()]
    data.mkdir(parents=True, exist_ok=True)
    writer = RunWriter(data, metadata, columns, signal=signal, axes=axes, measured_before=True)
    try:
        for row in zip(*values.values(), strict=True):
            writer.append(dict(zip(values, row, strict=True)))
        writer.flush()
        dataset = as_dataset(values, frequency)
        analyses: Sequence[Analysis] = analyses_of_run({"analyses": metadata.analyses})
        fits, problems = analyse(analyses, dataset, context, priors)
        fits = {
            name: replace(fit, warnings=tuple(dict.fromkeys((*fit.warnings, *doubts.get(name, ())))))
            for name, fit in fits.items()
        }
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


def _column(name: str, values: Numbers, resonator: str) -> Column:
    unit = "1" if name == "s11" else UNITS[name]
    trace = (FREQUENCY,) if values.ndim > 1 else ()
    label = "S21" if name == "s11" and resonator != "reflection" else name.replace("_", " ").capitalize()
    return Column(name, unit, label, trace, complex if np.iscomplexobj(values) else float)
