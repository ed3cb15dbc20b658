"""Readings of the bias source, compared with the level that was set."""

import logging
import math

from drivers.errors import ComplianceError, InstrumentError, ReadingError
from drivers.roles import BiasReading, BiasSource, SourceReading
from drivers.wiring import Wiring
from labnis.station.bias.level import Level
from labnis.station.players import DeviceMeter

__all__ = ["BiasMismatchError", "CheckedReading", "device_reading", "require_below_compliance"]

logger = logging.getLogger(__name__)

READING_TOLERANCE = 1e-3
"""Relative tolerance of the measured against the set bias."""

READING_FLOOR = 5e-6
"""Absolute tolerance of the measured against the set bias (V)."""

METER_OFFSET = 700e-6
"""Largest difference between a source-meter's output and its own reading of it (V at the source): twice what a Keithley
2450 is specified to (200 µV and 150 µV on its 20 mV ranges), as one is that is 7 °C outside its temperatures, or whose
errors are normal with the specification for a limit."""


class BiasMismatchError(InstrumentError):
    """The source does not hold the level that was set: it was changed or reset during the run."""


class CheckedReading:
    """Reads the source, and tells an offset of its own meter from a level that it does not hold.

    Attributes
    ----------
    meter_offset
        What the source's meter reads more than the level that is set, as a bias (V).

    """

    def __init__(self, source: BiasSource, name: str, wiring: Wiring, level: Level) -> None:
        self._source = source
        self._name = name
        self._wiring = wiring
        self._level = level
        self.meter_offset = 0.0

    def of(self, expected: float) -> SourceReading:
        """A reading that agrees with the bias that was set, `expected`, and the known offset of the source's meter.

        Another one is measured again: of two that agree the difference is the offset, if the source holds its level.

        Raises
        ------
        BiasMismatchError
            The source does not hold the level that was set.
        InstrumentError
            Two readings in a row differ, or the source failed.

        """
        reading = self._source.read()
        if math.isnan(reading.current):
            self._require_on(reading)
        if self.agrees(reading, expected):
            return reading
        again, tolerance = self._source.read(), _tolerance(expected)
        found, before = self._wiring.bias(again.voltage), self._wiring.bias(reading.voltage)
        if self.agrees(again, expected):
            logger.warning("%s measured %r V and, at once again, %r V: the second counts", self._name, before, found)
            return again
        self._require_still_set(again.voltage, expected)
        if abs(found - before) > 2 * tolerance:
            raise ReadingError(
                self._name,
                f"measures {before!r} V and, at once again, {found!r} V where {expected!r} V are set.",
                "An answer may have been late or wrong: repeat the run.",
            )
        self.meter_offset = found - expected
        return again

    def agrees(self, reading: SourceReading, expected: float) -> bool:
        """Whether a reading's voltage is the bias that was set, `expected`, but for the known offset of the meter."""
        measured = self._wiring.bias(reading.voltage) - self.meter_offset
        return bool(abs(measured - expected) <= _tolerance(expected))

    def _require_on(self, reading: SourceReading) -> None:
        """A source that measures nothing reads its level, whatever its output does: that must be on."""
        if self._source.output_enabled() or self._source.output_enabled():  # one answer may be wrong
            return
        self._level.value = None
        raise BiasMismatchError(
            self._name,
            f"has its output OFF at the level {reading.voltage!r} V; was it reset, or switched off, during the run?",
            "Look at its front panel, then start the run again.",
        )

    def _require_still_set(self, measured: float, expected: float) -> None:
        """Distinguish an offset of the source's own meter from a source that does not hold its level."""
        set_to = self._wiring.source_voltage(expected)
        enabled = self._source.output_enabled()
        holds = abs(self._level.read_back() - expected) <= self._level.tolerance
        if enabled and holds and abs(measured - set_to) <= max(METER_OFFSET, READING_TOLERANCE * abs(set_to)):
            self._level.value = expected
            return
        self._level.value = None
        raise BiasMismatchError(
            self._name,
            f"measures {measured!r} V at its output where {set_to!r} V were set (output "
            f"{'on' if enabled else 'OFF'}, {self._level.last_seen}); was it reset or changed during the run?",
            "Check that no other program drives it, then start the run again.",
        )


def _tolerance(expected: float) -> float:
    """Of a measured bias (V)."""
    return max(READING_TOLERANCE * abs(expected), READING_FLOOR)


def device_reading(
    wiring: Wiring,
    reading: SourceReading,
    *,
    current: float | None = None,
    ammeter: DeviceMeter | None = None,
    voltmeter: DeviceMeter | None = None,
    measured: float = math.nan,
) -> BiasReading:
    """A `reading` of the source as one of the device.

    Where an `ammeter` has read the `current` (A) the range is that of it; a `voltmeter` is read now.
    """
    bias = wiring.bias(reading.voltage)
    through = reading.current if current is None else current
    return BiasReading(
        bias=bias,
        current=through,
        device_voltage=wiring.device_voltage(bias, through) if voltmeter is None else voltmeter.read(),
        source_voltage=reading.voltage,
        source_current=reading.current,
        amplifier_voltage=math.nan if ammeter is None else ammeter.amplifier_output,
        voltage_range=reading.voltage_range if voltmeter is None else voltmeter.range,
        current_range=reading.current_range if ammeter is None else ammeter.range,
        measured=measured,
    )


def require_below_compliance(source: BiasSource, name: str, current: float, limit: float) -> None:
    """Where the own current limit of a source is above the compliance, the `current` (A) that is read must not be.

    Raises
    ------
    ComplianceError
        It is beyond the `limit` (A).

    """
    own = getattr(source, "smallest_compliance", 0.0)
    if own > limit and abs(current) > limit:
        raise ComplianceError(
            name,
            f"lets {current:g} A through the device; labnis.limits.compliance is {limit:g} A, and "
            f"{f'its own current limit is {own:g} A or more' if math.isfinite(own) else 'it has no current limit'}.",
            "Lower the bias, or raise the compliance if the device takes this current.",
        )
