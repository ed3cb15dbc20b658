"""Roles: the protocols through which a procedure uses the instruments of a device.

A procedure asks for a *role*, never for an instrument. A driver, also a lab's own, fills a role by having the methods
of its protocol. Units are SI and refer to the instrument's terminals, except for objects that the station provides to
procedures (`DeviceBias`, `Setpoint`, `roles.current`, `roles.voltage`): these refer to the device (`drivers.wiring`).

Kinds of roles, and the protocol that an instrument must have::

    bias         BiasSource                analyzer     SpectrumAnalyzer        setpoint   Adjustable
    ammeter      Meter                     vna          VectorNetworkAnalyzer   reading    Reading
    voltmeter    Meter                     thermometer  Thermometer
    lockin       LockIn                    stage        StageHeater
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.acquiring import acquire
from drivers.wiring import Wiring

__all__ = [
    "Acquisition",
    "Adjustable",
    "BiasReading",
    "BiasSource",
    "Clock",
    "DeviceBias",
    "LockIn",
    "Meter",
    "MissingRoleError",
    "Reading",
    "Roles",
    "Setpoint",
    "SourceReading",
    "SpectrumAnalyzer",
    "Thermometer",
    "VectorNetworkAnalyzer",
]

NAN = float("nan")


@dataclass(frozen=True)
class SourceReading:
    """One reading of a bias source at its terminals.

    Attributes
    ----------
    voltage
        As read back (V).
    current
        Measured (A); NaN if the source does not measure current.
    voltage_range, current_range
        Ranges in use (V, A); NaN where unknown.

    """

    voltage: float
    current: float
    voltage_range: float = NAN
    current_range: float = NAN


@dataclass(frozen=True)
class BiasReading:
    """One bias point. The first three refer to the device, the others are raw readings; NaN where there is none.

    Attributes
    ----------
    bias
        Voltage behind the divider (V), from the source's read-back; the device would see it if no current flowed.
    current
        Current through the device (A).
    device_voltage
        Voltage across the device (V): the reading of the role `voltage`, or else `bias` less the drop over the line's
        series resistance.
    source_voltage, source_current
        At the source's terminals (V, A).
    amplifier_voltage
        Output of the current amplifier (V), where the current is read through one.
    voltage_range, current_range
        Ranges in use (V, A): of the source; where the role `voltage` or `current` reads, that of its instrument as one
        of the device, or NaN if that does not tell it.
    measured
        Time of the experiment's clock (s) at which the source measured by itself; NaN for a reading of now.

    """

    bias: float
    current: float
    device_voltage: float
    source_voltage: float = NAN
    source_current: float = NAN
    amplifier_voltage: float = NAN
    voltage_range: float = NAN
    current_range: float = NAN
    measured: float = NAN


class Adjustable(Protocol):
    """A level that is written and read back, the element of every ramp. Reading it changes nothing."""

    def set_level(self, value: float) -> None:
        """Write one level (in its unit, V for a bias source). Never retried."""

    def level(self) -> float:
        """The level as the instrument reads it back; it is at the device if the output is on."""


class BiasSource(Adjustable, Protocol):
    """A voltage source; a source-meter also measures its current."""

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        """Choose ranges for `maximum_voltage` (V) and `maximum_current` (A), write the compliance (A) and read it back.

        Neither the level nor the output state changes. `integration_time` is that of one current reading (s).
        """

    def output_on(self) -> None:
        """Connect the output, at the present level."""

    def output_off(self) -> None:
        """Disconnect the output."""

    def output_enabled(self) -> bool:
        """Whether the output is on, as the instrument answers."""

    def read(self) -> SourceReading:
        """Measure. Raises OverloadError or ComplianceError rather than returning a wrong number."""


class Meter(Protocol):
    """A current meter or a voltmeter. As `roles.current` and `roles.voltage` it reads what the device has."""

    def read(self) -> float:
        """Present value, of a meter in A or V. Raises OverloadError when over-range."""


class LockIn(Protocol):
    """A lock-in amplifier with a sine output and auxiliary voltage inputs."""

    def prepare(self, *, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Set the sine output (V rms, Hz), the filter time constant (s) and the full scale (V rms); all read back."""

    def quiet(self) -> float:
        """Reduce the sine output to the instrument's smallest amplitude; return it (V rms)."""

    def settling_time(self) -> float:
        """Time (s) after a change of the signal until the output is within 0.1 % of its final value."""

    def read(self) -> complex:
        """X + iY at the input, V rms. Raises OverloadError if an overload bit is set."""

    def read_auxiliary(self, channel: int) -> float:
        """DC voltage (V) at auxiliary input `channel`, 1 to 4."""


Data_co = TypeVar("Data_co", covariant=True)


class Acquisition(Protocol[Data_co]):
    """A measurement that takes time; see `Roles.acquire`."""

    def duration(self) -> float:
        """Time (s) from `start` until it is finished."""

    def start(self) -> None:
        """Begin and return at once."""

    def finished(self) -> bool:
        """Whether the data are complete."""

    def fetch(self) -> Data_co:
        """The data of the finished acquisition. Raises OverloadError rather than returning wrong numbers."""

    def abort(self) -> None:
        """End the acquisition at the instrument; without effect if none is running."""


class SpectrumAnalyzer(Acquisition[NDArray[np.float64]], Protocol):
    """A spectrum analyzer that averages power (not its logarithm).

    `fetch` returns the mean of all sweeps as power spectral density, W/Hz at the input connector, shape (points,).
    """

    def prepare(
        self, *, center: float, span: float, points: int, resolution_bandwidth: float, sweep_time: float, averages: int
    ) -> None:
        """Set the band (Hz), the noise bandwidth of the filter (Hz), the time of one sweep (s) and sweeps averaged."""

    def frequencies(self) -> NDArray[np.float64]:
        """Frequency axis (Hz), shape (points,)."""


class VectorNetworkAnalyzer(Acquisition[NDArray[np.complex128]], Protocol):
    """A vector network analyzer measuring one complex parameter.

    `fetch` returns the mean of all sweeps, a ratio of amplitudes, shape (points,).
    """

    def prepare(
        self, *, center: float, span: float, points: int, power: float, if_bandwidth: float, averages: int
    ) -> None:
        """Set the band (Hz), source power (dBm), IF bandwidth (Hz) and the number of sweeps averaged; all read back."""

    def frequencies(self) -> NDArray[np.float64]:
        """Frequency axis (Hz), shape (points,)."""


class Thermometer(Protocol):
    """A thermometer. In `roles.fridge` that of the stage the device sits on."""

    def temperature(self) -> float:
        """Temperature (K). Raises ReadingError if the sensor status is not valid."""


class Reading(Meter, Protocol):
    """Any number that can be read."""

    unit: str
    """Unit; empty if not known."""


class Setpoint(Reading, Protocol):
    """A number that is set by ramps within the station's limits: a gate, a field, a stage temperature."""

    minimum: float
    maximum: float
    """Smallest and largest value allowed."""

    def move_to(self, value: float) -> None:
        """Ramp to `value` from the read-back value; beyond the limits it raises and moves nothing."""


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

    def read_along(self, biases: Sequence[float], settling_time: float) -> list[BiasReading]:
        """Readings at the next of the `biases` (V), `settling_time` (s) after each, which the source takes by itself.

        They are those of a part of them, which may be empty: the next one is then measured by `move_to` and `read`.
        """


class Clock(Protocol):
    """Time of the experiment: the wall clock at a real fridge, simulated time in a dry run."""

    def time(self) -> float:
        """Monotonic time (s)."""

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""


class MissingRoleError(LookupError, AttributeError):
    """A procedure asks for a role that the station does not fill or the run does not use."""


class Roles:
    """The roles of a procedure: each role of the station by its name, as an attribute.

    Parameters
    ----------
    clock
        The experiment's clock.
    wiring
        Conversions between instruments and device.
    **players
        Role → what fills it. None is the same as omitting the role.

    """

    if TYPE_CHECKING:  # types of the standard roles, for mypy
        bias: DeviceBias
        current: Meter
        voltage: Meter
        lockin: LockIn
        analyzer: SpectrumAnalyzer
        vna: VectorNetworkAnalyzer
        fridge: Thermometer

    def __init__(self, *, clock: Clock, wiring: Wiring, **players: Any) -> None:
        self.clock = clock
        self.wiring = wiring
        self._players = {name: player for name, player in players.items() if player is not None}

    @property
    def players(self) -> Mapping[str, Any]:
        """Role → what fills it."""
        return dict(self._players)

    def __contains__(self, name: object) -> bool:
        return name in self._players

    def __iter__(self) -> Iterator[str]:
        return iter(self._players)

    def get(self, name: str) -> Any:
        """What fills the role `name`; None if the station does not fill it or the run does not use it."""
        return self._players.get(name)

    def __getattr__(self, name: str) -> Any:
        # Called only for names without another attribute. `_players` is missing while an object is copied.
        players = self.__dict__.get("_players", {})
        if name in players:
            return players[name]
        if name.startswith("_"):
            raise AttributeError(name)
        raise MissingRoleError(
            f"the role {name} is not filled here; roles are {', '.join(players) or 'none'}. Name an instrument for it "
            "under labnis.roles in the station file, and the role in REQUIRES or USES of the procedure."
        )

    def blocking(self, seconds: float) -> AbstractContextManager[None]:
        """Declare that the calls in the context take up to `seconds` and return nothing before.

        For what does not wait with `clock`: another library that measures for a minute. During a run its guardian takes
        a process that is silent for longer than it has declared for one that hangs, and ramps the bias to zero.
        """
        del seconds
        return nullcontext()

    def _expect(self, seconds: float) -> None:
        """Declare that the next call may take `seconds`."""

    def acquire(self, instrument: Acquisition[Data_co]) -> Data_co:
        """Start an acquisition, wait for it with the experiment's clock, and return its data.

        If the wait ends early, the acquisition is aborted at the instrument. One that ends because the instrument's
        connection broke is repeated once the connection is open again: see `drivers.acquiring`.

        Raises
        ------
        SettingError
            Its duration is not a number, infinite or negative.
        ReadingError
            It is not complete in time.

        """
        role = next((role for role, player in self._players.items() if player is instrument), "")
        name = f"{role}, {getattr(instrument, 'name', type(instrument).__name__)}".removeprefix(", ")
        return acquire(instrument, name, self.clock, self._expect)
