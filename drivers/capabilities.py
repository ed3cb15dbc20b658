"""Optional protocols: what an instrument may be able to do beyond its role, which is used where it is there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from drivers.roles import SourceReading

__all__ = [
    "BufferedSweep",
    "CoarselyStepped",
    "DatedThermometer",
    "GainReporting",
    "GainSetting",
    "HasChannels",
    "Interruptible",
    "LimitedLevel",
    "RangedMeter",
    "Segment",
    "SegmentedSweep",
    "SelfRamping",
    "ServesMany",
    "TellsSettings",
    "TimedReading",
]


class HasChannels(Protocol):
    """Optional for a class whose channels fill a role, not the instrument: a station file then names one of them."""

    channel_names: Sequence[str]
    """Names of the submodules, as the key `channel` has them; those of the largest model."""
    channel_class: type
    """Class of a channel."""


class CoarselyStepped(Protocol):
    """Optional for a bias source with coarse levels: one that is read back may differ by half a step."""

    level_step: float
    """Step of its levels (V)."""


class LimitedLevel(Protocol):
    """Optional for a bias source: its largest level, with which limits are compared before it is opened."""

    largest_voltage: float
    """Largest level (V); a property of the instrument where it depends on the model."""


class SelfRamping(Protocol):
    """Optional for a bias source: ramps by the instrument itself, evenly timed."""

    longest_ramp: int
    """Most levels of one ramp."""

    def start_ramp(self, levels: Sequence[float], interval: float) -> None:
        """Load `levels` (V), read them back, start the ramp and return at once.

        From one level to the next it takes `interval` (s) or longer. The output does not change. Raises an
        `InstrumentError` before anything moves if the levels were not accepted.
        """

    def ramp_running(self) -> bool:
        """Whether the ramp is running; call it from 0.1 s after the start. Raises if it failed."""

    def halt_ramp(self) -> None:
        """Stop the ramp at the present level; without effect if none is running. Raises if it continues."""


class BufferedSweep(Protocol):
    """Optional for a bias source that measures its current: steps through levels and reads at each, by itself.

    Whatever ends a sweep, and if its client dies, the level that is read back is the one at the output.
    """

    longest_sweep: int
    """Most levels of one sweep."""

    def start_sweep(self, levels: Sequence[float], settling: float) -> None:
        """Load `levels` (V), start the sweep and return at once; the output does not change.

        `settling` (s) after a level was set, one reading is taken as by `read`. Raises an `InstrumentError` before
        anything moves if the levels were not accepted.
        """

    def sweep_running(self) -> bool:
        """Whether the sweep is running; call it from 0.1 s after the start, and after its end. Raises if it failed."""

    def halt_sweep(self) -> None:
        """Stop the sweep at the present level; without effect if none is running. Raises if it continues."""

    def fetch_sweep(self, count: int) -> "list[SourceReading]":
        """The readings of a sweep of `count` levels that has ended, up to the first that `read` would not return.

        Such a one was beyond its range, or the source at its limit. Raises if there are not `count` of them.
        """


class RangedMeter(Protocol):
    """Optional for a current meter or a voltmeter: a range and an integration time that are set before a measurement.

    Without it an earlier user's settings stay.
    """

    def prepare_reading(self, *, unit: Literal["A", "V"], maximum: float, integration_time: float) -> None:
        """Set everything that a reading depends on, and read it back.

        `unit` is that of the readings of `read`, direct current or voltage; the fixed range includes ± `maximum`. One
        reading integrates for `integration_time` (s), or as nearly as the instrument can for as long or longer.
        """


class TellsSettings(Protocol):
    """Optional for a `RangedMeter` and a lock-in: which settings, left by an earlier user, make other readings.

    `labnis check --open`, which sets nothing, tells them in place of a reading.
    """

    def set_otherwise(self, unit: Literal["A", "V"]) -> list[str]:
        """What is set otherwise than for readings in `unit`, of what changes their number; empty if nothing."""


class TimedReading(Protocol):
    """Optional for the class of a bias source, a meter or a thermometer: how long a reading takes, for plans.

    Without it a reading takes its integration time.
    """

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """Time (s) of one reading that integrates for `integration_time` (s), with auto-zero and without messages.

        `line_frequency` (Hz) is that of the mains.
        """


class DatedThermometer(Protocol):
    """Optional for a thermometer that knows how old its reading is: an unchanged one is stale only beyond that age."""

    maximum_age: float
    """Age (s) beyond which it refuses a reading."""


class GainReporting(Protocol):
    """An amplifier that reports its gain and its overload: the `instrument` of an amplifier in the station file.

    The gain is compared with that of the station file when a measurement is prepared, and at each reading.
    """

    def reported_gain(self) -> float:
        """Gain that is set at the amplifier (V/A or V/V), without a sign."""

    def overloaded(self) -> bool:
        """Whether it is overloaded now, or was since the last call."""


class GainSetting(Protocol):
    """An amplifier that listens only: its gain is written when a measurement is prepared, and cannot be checked."""

    def set_gain(self, gain: float) -> None:
        """Set a gain (V/A or V/V), which is positive; without effect if it was the last one set.

        Raises a `SettingError` for a gain that it does not have.
        """


class Segment(NamedTuple):
    """One segment of a sweep: center and span (Hz), points, IF bandwidth (Hz)."""

    center: float
    span: float
    points: int
    if_bandwidth: float


class SegmentedSweep(Protocol):
    """Optional for a vector network analyzer: one acquisition of several bands, each with its own points and filter."""

    most_segments: int
    """Most segments of one sweep."""

    def prepare_segments(self, segments: Sequence[Segment], *, power: float, averages: int) -> None:
        """As `prepare`, for `segments` in place of one band.

        Until the next preparation `frequencies` and `fetch` have the points of all segments in their order. Segments
        of 2 points or more that rise, each beyond the one before, are possible; others raise ValueError where the
        instrument has only those.
        """


class Interruptible(Protocol):
    """Optional for an acquisition: the instrument interrupts it now and then, for instance to align itself.

    An acquisition that is late for that reason is awaited for up to `drivers.acquiring.LONGEST_INTERRUPTION` more.
    """

    def interrupted(self) -> bool:
        """Whether it does so now, or has done so since the start of the acquisition or the last call."""


class ServesMany(Protocol):
    """Optional for an instrument that several stations read at once, which other instruments refuse.

    A fridge with two experiments has one server, or one folder with its logs, and each request has its own answer. The
    station that heats the stage, or moves another set-point, with it excludes others that do.
    """

    serves_many: bool
    """True, as an attribute of the class."""
