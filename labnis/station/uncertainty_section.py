"""The section `uncertainty` of station.yaml: what instruments and wiring may err by.

::

    uncertainty:
      instruments:
        keithley: {accuracy: keithley_2450, calibrated: 2026-03-14}   # accuracy/keithley_2450.yaml
        n9030b: {amplitude: {expanded: 0.24, k: 2.0}, linearity: {standard: 0.01}}   # dB, dB per dB
      wiring: {series_resistance: {limit: 20.0}}                      # ohm
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from drivers.wiring import Section
from labnis.accuracy import StatedUncertainty
from labnis.station.role_spec import Name

__all__ = ["DriftUncertainty", "FrequencyReference", "InstrumentUncertainty", "Uncertainty", "WiringUncertainty"]

Stated = TypeVar("Stated", bound=StatedUncertainty)

# Temperatures (°C) in which an instrument can be.
_COLDEST, _WARMEST = -50.0, 100.0


def _absolute(stated: StatedUncertainty) -> StatedUncertainty:
    if stated.relative:
        raise ValueError("found relative: true; there is nothing that it is a part of: give it in its own unit")
    return stated


def _relative(stated: Stated) -> Stated:
    if "relative" in stated.model_fields_set and not stated.relative:
        raise ValueError("found relative: false; this is a part of the value: write relative: true, or leave it out")
    return _part(stated)


def _part(stated: Stated) -> Stated:
    if stated.figure >= 1:
        raise ValueError(f"found {stated.figure:g}, {100 * stated.figure:g} % of the value; allowed are parts below 1")
    return stated


def _below(largest: float, unit: str) -> Callable[[StatedUncertainty], StatedUncertainty]:
    """Refuse a figure that is no error of an instrument in use, as one in another unit."""

    def checked(stated: StatedUncertainty) -> StatedUncertainty:
        if stated.figure >= largest:
            raise ValueError(f"found {stated.figure:g} {unit}; allowed are figures below {largest:g} {unit}")
        return stated

    return checked


Absolute = Annotated[StatedUncertainty, AfterValidator(_absolute)]
Relative = Annotated[StatedUncertainty, AfterValidator(_relative)]


class InstrumentUncertainty(Section):
    """What is stated of one instrument.

    Attributes
    ----------
    accuracy
        Name of its accuracy table, of a source-meter, an ammeter or a voltmeter.
    calibrated, due
        Dates of its last adjustment, which makes new errors, and of the next one: what is stated ends there.
    temperature
        Lowest and highest temperature (°C) that the instrument has; outside those of its table its figures grow.
    amplitude, linearity
        Of a spectrum analyzer: its absolute amplitude (dB), and its deviation from a straight line (dB per dB).
    gain_drift
        Of a spectrum analyzer: the drift of its gain and of the amplifier chain's together (dB per hour).
    gain
        Of a lock-in: reading and sine output together, relative.
    magnitude_drift, phase_drift
        Of a network analyzer: its drift (dB per hour, degrees per hour).

    """

    accuracy: Name | None = None
    calibrated: Annotated[date, Field(strict=False)] | None = None
    due: Annotated[date, Field(strict=False)] | None = None
    temperature: Annotated[tuple[float, float], Field(strict=False)] | None = None
    amplitude: Annotated[Absolute, AfterValidator(_below(10.0, "dB"))] | None = None
    linearity: Annotated[Absolute, AfterValidator(_below(1.0, "dB per dB"))] | None = None
    gain_drift: Annotated[Absolute, AfterValidator(_below(10.0, "dB per hour"))] | None = None
    gain: Relative | None = None
    magnitude_drift: Annotated[Absolute, AfterValidator(_below(10.0, "dB per hour"))] | None = None
    phase_drift: Annotated[Absolute, AfterValidator(_below(180.0, "degrees per hour"))] | None = None

    @field_validator("calibrated")
    @classmethod
    def _is_past(cls, given: date | None) -> date | None:
        today = datetime.now().astimezone().date()
        if given is not None and given > today:
            raise ValueError(f"found {given}, which is in the future: by the clock of this computer it is {today}")
        return given

    @field_validator("due")
    @classmethod
    def _after_the_last(cls, given: date | None, info: ValidationInfo) -> date | None:
        last = info.data.get("calibrated")
        if given is not None and last is not None and given <= last:
            raise ValueError(f"found {given}; the next adjustment is later than the last one (calibrated: {last})")
        return given

    @field_validator("temperature")
    @classmethod
    def _of_a_room(cls, given: tuple[float, float] | None) -> tuple[float, float] | None:
        if given is None:
            return None
        if not given[0] <= given[1]:
            raise ValueError(f"found {list(given)}; give the lowest and the highest temperature, the lowest first")
        if given[0] < _COLDEST or given[1] > _WARMEST:
            raise ValueError(f"found {list(given)}; allowed are {_COLDEST:g} to {_WARMEST:g} degrees Celsius")
        return given


class WiringUncertainty(Section):
    """What is stated of the wiring.

    Attributes
    ----------
    series_resistance
        Of the line (ohm or relative).
    divider
        Of its ratio, relative.
    amplifiers
        Of the gain of each, relative; that of an amplifier in front of a lock-in belongs to the gain of the lock-in.

    """

    series_resistance: StatedUncertainty | None = None
    divider: Relative | None = None
    amplifiers: Mapping[Name, Relative] = {}

    @field_validator("series_resistance")
    @classmethod
    def _part_of_the_line(cls, stated: StatedUncertainty | None) -> StatedUncertainty | None:
        return _part(stated) if stated is not None and stated.relative else stated


class DriftUncertainty(Section):
    """What is stated of drifts.

    Attributes
    ----------
    voltage_zero
        Of the zero of the voltage at the device between two runs (V).
    current_zero
        Of the zero of the current in the course of a run (A per hour): it looks like a leak.

    """

    voltage_zero: Absolute | None = None
    current_zero: Absolute | None = None


class FrequencyReference(StatedUncertainty):
    """Relative uncertainty of the frequencies of the instruments that share a reference.

    Attributes
    ----------
    shared
        Their names under `instruments:`.

    """

    shared: Annotated[tuple[Name, ...], Field(strict=False)] = ()


class Uncertainty(Section):
    """The section; what it leaves out is not in the budgets, which say so.

    Attributes
    ----------
    instruments
        By their names under `instruments:` of the file.
    wiring
        Of series resistance, divider and amplifiers.
    drift
        Of zeros; that of the voltage drifts by 1 µV at most between two runs where nothing is stated.
    frequency_reference
        Shared by spectrum and network analyzer.
    fridge
        Of the thermometer (K).

    """

    instruments: Mapping[Name, InstrumentUncertainty] = {}
    wiring: WiringUncertainty = WiringUncertainty()
    drift: DriftUncertainty = DriftUncertainty()
    frequency_reference: Annotated[FrequencyReference, AfterValidator(_relative)] | None = None
    fridge: Annotated[Absolute, AfterValidator(_below(1.0, "K"))] | None = None
