"""Stand-ins of meters: ammeter, voltmeter, lock-in amplifier, thermometer, and a reading of anything else."""

import math

from sim_instruments.instruments import SimulatedRole, signal_of, stage_of
from sim_instruments.stand_ins.stand_in import Place, StandIn
from sim_instruments.world import AUXILIARY_BANDWIDTH, Demodulator

__all__ = ["LockIn", "Meter", "Reading", "Thermometer"]

# The default of most multimeters with 6½ digits.
POWER_LINE_CYCLES = 10
SMALLEST_SINE = 1e-9
LARGEST_VOLTAGE = 10.0
# A range of most multimeters reaches to this many times its nominal value.
OVER_RANGE = 1.2
STAGES = 4
# Time constants until four stages have settled within 0.1 %: e^{−x} Σ_{k<4} x^k/k! = 1e-3.
SETTLED = 13.07
FULL_SCALE = 1.09


class Meter(StandIn):
    """A meter for direct current or voltage: the device's own, or the output, up to ±10 V, of an amplifier.

    Until it is prepared its range only goes up, so that it is the same all over a sweep that begins at its end.
    """

    def __init__(self, place: Place, role: SimulatedRole) -> None:
        super().__init__(place, role)
        self._signal = signal_of(role, place.world.wiring, place.all_instruments)
        self._amplified = role.amplifier is not None
        self._largest, self._range = 0.0, math.inf
        self._duration = POWER_LINE_CYCLES / place.world.wiring.line_frequency
        if role.auxiliary is not None:
            self._duration = 1 / (2 * AUXILIARY_BANDWIDTH)

    def prepare_reading(self, *, unit: str, maximum: float, integration_time: float) -> None:
        """Fix the range that includes `maximum` (A or V), and set the integration time (s)."""
        del unit
        self._exchange()
        self._largest, self._range = maximum, maximum
        self._duration = integration_time

    def read(self) -> float:
        """One reading (A or V; V at the output of an amplifier). Raises the error for overload."""
        self._exchange()
        self._clock.sleep(self._duration)
        value = self._world.metered(1 / (2 * self._duration), self._signal, self._largest)
        self._largest = max(self._largest, abs(value))
        if self._amplified and abs(value) > LARGEST_VOLTAGE:
            raise self._errors.overload(self.name, f"the amplifier in front of it is overloaded at {value:g} V.")
        if abs(value) > OVER_RANGE * self._range:
            raise self._errors.overload(self.name, f"its range, {self._range:g}, is exceeded at {value:g}.")
        return value


class LockIn(StandIn):
    """A lock-in amplifier with four filter stages."""

    def __init__(self, place: Place, role: SimulatedRole) -> None:
        super().__init__(place, role)
        self._time_constant = 0.1
        self._sensitivity = 1.0
        self._amplitude = 0.0
        self._frequency = 1000.0
        self._demodulator = Demodulator(self._world, self._wires)
        self._demodulator.input_changed(connected=True)
        self._demodulator.settle_at_once()

    def _settle(self) -> None:
        self._demodulator.settle(self._clock.time(), self._time_constant)

    def _excite(self, amplitude: float) -> None:
        self._settle()
        if self._wires.excites:
            self._world.set_excitation(amplitude, self._frequency)
        self._amplitude = amplitude
        self._demodulator.input_changed(connected=True)

    def prepare(
        self,
        *,
        amplitude: float,
        frequency: float,
        time_constant: float,
        sensitivity: float,
    ) -> None:
        """Set the sine output (V rms, Hz), the time constant (s) and the full scale (V rms)."""
        self._exchange()
        self._frequency = frequency
        self._excite(amplitude)
        self._time_constant = time_constant
        self._sensitivity = sensitivity

    def quiet(self) -> float:
        """Reduce the sine output to the smallest amplitude; return it (V rms)."""
        self._exchange()
        self._excite(SMALLEST_SINE)
        return SMALLEST_SINE

    def settling_time(self) -> float:
        """Time (s) until the output is within 0.1 % of its final value."""
        return SETTLED * self._time_constant

    def read(self) -> complex:
        """X + iY (V rms). Raises the error for overload."""
        self._exchange()
        self._settle()
        noise = self._demodulator.draw_noise(self._clock.time(), self._time_constant, STAGES)
        value = self._demodulator.output(STAGES) + noise
        if max(abs(value.real), abs(value.imag)) > FULL_SCALE * self._sensitivity:
            raise self._errors.overload(self.name, f"the output is above the full scale of {self._sensitivity:g} V.")
        return value

    def read_auxiliary(self, channel: int) -> float:
        """DC voltage (V) at auxiliary input `channel`, 1 to 4."""
        self._exchange()
        voltage = self._demodulator.auxiliary(channel)
        return math.copysign(min(abs(voltage), LARGEST_VOLTAGE), voltage)


class Thermometer(StandIn):
    """A thermometer on a stage."""

    def __init__(self, place: Place, role: SimulatedRole) -> None:
        super().__init__(place, role)
        self._stage = stage_of(role)

    def temperature(self) -> float:
        """Temperature (K); a reading lasts 0.1 s."""
        self._exchange()
        self._clock.sleep(0.1)
        return self._world.temperature(self._stage)


class Reading(StandIn):
    """A quantity that is not simulated: constant, as the truth file says."""

    def __init__(self, place: Place, role: SimulatedRole) -> None:
        super().__init__(place, role)
        self._value = place.world.truth.readings.get(role.name, 0.0)
        self.unit = str(role.options.get("unit") or "")

    def read(self) -> float:
        """Its value."""
        self._exchange()
        return self._value
