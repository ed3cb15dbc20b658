"""Sources of uncertainty of one run that follow from the section `uncertainty` of station.yaml."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from drivers.wiring import Wiring
from labnis.accuracy import AccuracyTable, Source, StatedUncertainty
from labnis.station.uncertainty_section import (
    DriftUncertainty,
    FrequencyReference,
    InstrumentUncertainty,
    Uncertainty,
    WiringUncertainty,
)

__all__ = ["PARTS", "stated_sources"]


def stated_sources(
    stated: Uncertainty,
    instruments: Mapping[str, str],
    tables: Mapping[str, AccuracyTable],
    serials: Mapping[str, str],
    *,
    reads_current: bool,
    cooldown: str,
    run: str,
    today: date,
    wiring: Wiring = Wiring(),  # noqa: B008  # frozen
) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Return the sources of one run, and statements of what is not among them.

    Parameters
    ----------
    stated
        The section.
    instruments
        Role → name of its instrument, for the roles that the run uses.
    tables, serials
        Name of an instrument → its accuracy table, and its serial number.
    reads_current
        Whether the bias source reads the current of the device.
    cooldown, run
        Names of the cooldown and the run: wiring errs alike in one cooldown, a drift in one run.
    today
        Of the run.
    wiring
        With the amplifiers that meters read.

    """
    found: list[Source] = []
    missing: list[str] = []
    bias = instruments["bias"]
    readers = {
        "voltage": instruments.get("voltage", bias),
        "current": bias if reads_current else instruments["current"],
    }
    for quantity, name in readers.items():
        table = tables.get(name)
        by_source = name == bias and (quantity != "current" or reads_current)
        amplifier = None if by_source else wiring.role_amplifiers.get(quantity)
        measured = f"{quantity}_measure" if amplifier is None else "voltage_measure"
        if by_source and table is not None and measured not in table.quantities:
            measured = f"{quantity}_source"
        if table is None or measured not in table.quantities:
            missing.append(f"the accuracy of {name}, which reads the {quantity}")
        else:
            meter = quantity if by_source else _METERS[quantity][0]
            sources = table.sources(measured, meter, _identity(stated, name, serials))
            gain = 1.0 if amplifier is None else abs(wiring.amplifiers[amplifier].gain)
            found += [_behind(source, gain, _METERS[quantity][1]) for source in _grown(sources, stated, name, table)]
        if amplifier is not None and amplifier not in stated.wiring.amplifiers:
            missing.append(f"the gain of the amplifier {amplifier}")
        elif amplifier is not None:
            of_gain, acts_on = stated.wiring.amplifiers[amplifier], f"{_METERS[quantity][0]}.gain"
            found.append(_source(f"wiring.{amplifier}@{cooldown}", f"gain of {amplifier}", "1", of_gain, acts_on))
    found += _wiring(stated.wiring, cooldown, wiring)
    found += _drifts(stated.drift, readers, run)
    if stated.wiring.series_resistance is None:
        missing.append("the series resistance")
    for role, name in instruments.items():
        own = stated.instruments.get(name, InstrumentUncertainty())
        missing += _beyond_the_sheet(name, own, tables.get(name), today)
        for part, (unit, label, acts_on, lasts) in PARTS.get(role, {}).items():
            figure: StatedUncertainty | None = getattr(own, part)
            if figure is None:
                missing.append(f"the {label} of {name}")
                continue
            uid = f"{name}/{serials.get(name, '')}/{part}{f'@{run}' if lasts == 'run' else _since(own)}"
            found.append(_source(uid, f"{label} of {name}", unit, figure, acts_on))
    found += _reference(stated.frequency_reference, instruments, missing)
    if "fridge" in instruments and stated.fridge is not None:
        found.append(
            _source("fridge.temperature", "thermometer of the fridge", "K", stated.fridge, "fridge.temperature")
        )
    return tuple(found), tuple(dict.fromkeys(missing))


PARTS: Mapping[str, Mapping[str, tuple[str, str, str, str]]] = {
    "lockin": {"gain": ("1", "gain", "conductance.gain", "calibration")},
    "vna": {
        "magnitude_drift": ("dB/h", "magnitude drift", "vna.magnitude_drift", "run"),
        "phase_drift": ("deg/h", "phase drift", "vna.phase_drift", "run"),
    },
    "analyzer": {
        "amplitude": ("dB", "amplitude", "analyzer.amplitude", "calibration"),
        "linearity": ("1", "linearity", "analyzer.linearity", "calibration"),
        "gain_drift": ("dB/h", "gain drift", "analyzer.gain_drift", "run"),
    },
}
"""Role → part of InstrumentUncertainty → unit, label, what it acts on, and how long its error stays the same."""


# What an instrument other than the bias source reads → its kind, and the unit.
_METERS = {"voltage": ("voltmeter", "V"), "current": ("ammeter", "A")}


def _beyond_the_sheet(name: str, own: InstrumentUncertainty, table: AccuracyTable | None, today: date) -> Iterator[str]:
    """Conditions of an instrument for which its accuracy is not stated."""
    if own.due is not None and today > own.due:
        yield f"what has happened to {name} since its next adjustment was due on {own.due}"
    if own.temperature is not None and (table is None or table.temperature is None):
        yield f"the effect of the temperature on {name}, of which its accuracy table says nothing"


def _grown(sources: Sequence[Source], stated: Uncertainty, name: str, table: AccuracyTable) -> Sequence[Source]:
    """The sources of an instrument at its temperature, by what its `table` says of that."""
    own = stated.instruments[name].temperature
    if own is None or table.temperature is None:
        return sources
    factor = table.temperature.factor(*own)
    return [replace(source, standard=factor * source.standard) for source in sources]


def _behind(source: Source, gain: float, unit: str) -> Source:
    """The `source` of a meter that reads the output of an amplifier, in terms of its input (`unit`)."""
    own = replace(source, above=source.above / gain, largest=source.largest / gain)
    return own if source.unit == "1" else replace(own, standard=source.standard / gain, unit=unit)


def _source(uid: str, label: str, unit: str, figure: StatedUncertainty, acts_on: str) -> Source:
    return Source(uid, label, unit, figure.standard_uncertainty, figure.distribution, "station file", acts_on)


def _since(own: InstrumentUncertainty) -> str:
    return f"@{own.calibrated.isoformat()}" if own.calibrated is not None else ""


def _identity(stated: Uncertainty, name: str, serials: Mapping[str, str]) -> str:
    """One instrument since its last adjustment."""
    own = stated.instruments[name]
    return f"{own.accuracy}/{serials.get(name, '')}{_since(own)}"


def _wiring(stated: WiringUncertainty, cooldown: str, wiring: Wiring) -> Iterator[Source]:
    if (figure := stated.series_resistance) is not None:
        part = "series_resistance"
        of_line = _source(f"wiring.{part}@{cooldown}", "series resistance", "ohm", figure, part)
        yield replace(of_line, standard=(wiring.series_resistance if figure.relative else 1.0) * of_line.standard)
    if stated.divider is not None:
        yield _source(f"wiring.divider@{cooldown}", "divider", "1", stated.divider, "divider")


def _drifts(drift: DriftUncertainty, readers: Mapping[str, str], run: str) -> Iterator[Source]:
    for quantity, unit, acts_on in (("voltage", "V", "voltage.zero"), ("current", "A/h", "current.drift")):
        figure: StatedUncertainty | None = getattr(drift, f"{quantity}_zero")
        if figure is not None:
            uid, label = f"{readers[quantity]}/{quantity}_zero@{run}", f"drift of the zero of the {quantity}"
            yield _source(uid, label, unit, figure, acts_on)


def _reference(
    reference: FrequencyReference | None, instruments: Mapping[str, str], missing: list[str]
) -> Iterator[Source]:
    """The frequency reference of the analyzers among the `instruments`; those that have none are added to `missing`."""
    shared: Collection[str] = reference.shared if reference is not None else ()
    used = [instruments[role] for role in ("vna", "analyzer") if role in instruments]
    missing += [f"the frequency reference of {name}" for name in used if name not in shared]
    if reference is not None and any(name in shared for name in used):
        uid = f"frequency_reference({', '.join(sorted(shared))})"
        yield _source(uid, "frequency reference", "1", reference, "frequency")
