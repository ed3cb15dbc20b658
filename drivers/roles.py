"""What a measurement procedure may ask of the instruments around a device.

A procedure never names an instrument: it asks for a *role*. A driver fills a role by having the methods of its
protocol; nothing has to be inherited, so a lab's own driver file fits by shape alone. Units are SI and refer to the
instrument's own terminals, except for `DeviceBias`, which speaks of the device (the station converts, see
`drivers.wiring`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.wiring import Wiring

__all__ = [
    "BiasReading",
    "BiasSource",
    "DeviceBias",
    "FridgeThermometer",
    "LockIn",
    "Roles",
    "SelfRamping",
    "SourceReading",
    "SpectrumAnalyzer",
    "VectorNetworkAnalyzer",
    "filled",
]


@dataclass(frozen=True)
class SourceReading:
    """One reading of a source-meter at its terminals: voltage (V) as read back, current (A)."""

    voltage: float
    current: float


@dataclass(frozen=True)
class BiasReading:
    """One bias point.

    Attributes
    ----------
    bias
        Voltage behind the divider (V), from the source's read-back; the device would see it if no current flowed.
    current
        Current through the device (A).
    device_voltage
        Voltage across the device (V): `bias` less the drop over the line's series resistance.

    """

    bias: float
    current: float
    device_voltage: float


class BiasSource(Protocol):
    """A voltage source that measures its own current (a source-meter)."""

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        """Choose ranges for `maximum_voltage` (V) and `maximum_current` (A), write the compliance (A) and read it back.

        Neither the level nor the output state changes. `integration_time` is that of one current reading (s).
        """

    def output_on(self) -> None:
        """Connect the output, at whatever level is set."""

    def output_off(self) -> None:
        """Disconnect the output."""

    def output_enabled(self) -> bool:
        """Whether the output is on, as the instrument answers."""

    def set_level(self, voltage: float) -> None:
        """Write one source level (V). Never retried."""

    def level(self) -> float:
        """The source level (V) as the instrument reads it back; what is at the device if the output is on."""

    def read(self) -> SourceReading:
        """Measure. Raises OverloadError or ComplianceError rather than returning a wrong number."""


class SelfRamping(Protocol):
    """What a bias source may have besides: ramps that it makes by itself, evenly timed. Never required."""

    @property
    def longest_ramp(self) -> int:
        """Most levels of one ramp."""

    def start_ramp(self, levels: Sequence[float], interval: float) -> None:
        """Load `levels` (V), read them back, start walking through them and return at once.

        From one level to the next it takes `interval` (s) or longer. The output stays as it is. Raises an
        `InstrumentError` before anything moves where the levels were not taken.
        """

    def ramp_running(self) -> bool:
        """Whether it is still walking, asked 0.1 s after the start at the earliest. Raises where it failed."""

    def halt_ramp(self) -> None:
        """Stop walking, at whatever level; harmless where it stands. Raises if it goes on."""


class LockIn(Protocol):
    """A lock-in amplifier with a sine output and auxiliary voltage inputs."""

    def prepare(self, *, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Set the sine output (V rms, Hz), the filter time constant (s) and the full scale (V rms); all read back."""

    def quiet(self) -> float:
        """Reduce the sine output to the smallest amplitude the instrument has; return it (V rms)."""

    def settling_time(self) -> float:
        """Time (s) after a change of the signal until the output is within 0.1 % of its final value."""

    def read(self) -> complex:
        """X + iY at the input, V rms. Raises OverloadError where an overload bit is set."""

    def read_auxiliary(self, channel: int) -> float:
        """DC voltage (V) at auxiliary input `channel`, 1 to 4."""


class SpectrumAnalyzer(Protocol):
    """A spectrum analyzer that averages power (not its logarithm)."""

    def prepare(
        self, *, center: float, span: float, points: int, resolution_bandwidth: float, sweep_time: float, averages: int
    ) -> None:
        """Set the band (Hz), the noise bandwidth of the filter (Hz), the time of one sweep (s) and sweeps averaged."""

    def duration(self) -> float:
        """Time (s) that one call of `power_spectral_density` takes."""

    def frequencies(self) -> NDArray[np.float64]:
        """Frequency axis (Hz), shape (points,)."""

    def power_spectral_density(self) -> NDArray[np.float64]:
        """Take `averages` sweeps and return their mean, W/Hz at the input connector, shape (points,)."""


class VectorNetworkAnalyzer(Protocol):
    """A vector network analyzer measuring one complex parameter."""

    def prepare(
        self, *, center: float, span: float, points: int, power: float, if_bandwidth: float, averages: int
    ) -> None:
        """Set the band (Hz), source power (dBm), IF bandwidth (Hz) and the number of sweeps averaged; all read back."""

    def duration(self) -> float:
        """Time (s) that one call of `trace` takes."""

    def frequencies(self) -> NDArray[np.float64]:
        """Frequency axis (Hz), shape (points,)."""

    def trace(self) -> NDArray[np.complex128]:
        """Take `averages` sweeps and return the averaged complex parameter, shape (points,)."""


class FridgeThermometer(Protocol):
    """The thermometer of the stage the device sits on."""

    def temperature(self) -> float:
        """Temperature (K). Raises ReadingError where the sensor status is not valid."""


class DeviceBias(Protocol):
    """The bias of the device, moved only by ramps within the station's limits."""

    def prepare(self, *, maximum_bias: float, maximum_current: float, integration_time: float) -> None:
        """Choose ranges for `maximum_bias` (V) and `maximum_current` (A), check the limits, switch the output on.

        The bias does not move: an output that was off goes on at zero. `integration_time` is that of one reading (s).
        """

    def move_to(self, bias: float) -> None:
        """Ramp the bias line to `bias` (V) from its read-back value; beyond the limits it raises and moves nothing."""

    def read(self) -> BiasReading:
        """Measure bias, current and device voltage now."""


class Clock(Protocol):
    """Time as the experiment sees it: the wall clock at a real fridge, simulated time in a dry run."""

    def time(self) -> float:
        """Monotonic time (s)."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""


@dataclass(frozen=True)
class Roles:
    """Everything a procedure can reach. A role that the station does not fill is None."""

    clock: Clock
    wiring: Wiring
    bias: DeviceBias
    lockin: LockIn | None = None
    analyzer: SpectrumAnalyzer | None = None
    vna: VectorNetworkAnalyzer | None = None
    fridge: FridgeThermometer | None = None


Role = TypeVar("Role")


def filled(role: Role | None) -> Role:
    """The instrument in a role that a procedure requires.

    Raises
    ------
    LookupError
        Where the station does not fill it.
    """
    if role is None:
        raise LookupError("a role that this procedure requires is not filled; name an instrument in the station file")
    return role
