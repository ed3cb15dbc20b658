"""The simulated fridge: one device's physics, read and driven by the front panels.

The World contains no SCPI, and the front panels contain no physics. All quantities are SI at the instruments'
terminals; all times come from the clock it is given. Nothing here approximates what an estimator approximates:
photon-assisted rates are exact at every bias, the bias line is solved with its series resistance, noise is drawn
sample by sample.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import h, k
from scipy.optimize import brentq

from labnis.accuracy import Source as StatedSource
from labnis.physics import NoOperatingPointError, thermal_photon_number
from sim_instruments.world.device import Device, DeviceState
from sim_instruments.world.heated_stage import StageHeat
from sim_instruments.world.imperfections import Imperfections
from sim_instruments.world.instrument_errors import InstrumentErrors
from sim_instruments.world.truth import Signal, Truth, TruthError

__all__ = ["Clock", "ExperimentClock", "Source", "SourceState", "Stage", "World"]

# Sine of 16 equally spaced phases: one cycle of the lock-in's excitation.
_CYCLE = np.sin(2 * np.pi * (np.arange(16) + 0.5) / 16)

Stage = Literal["mixing_chamber", "still", "four_kelvin", "fifty_kelvin"]


class ExperimentClock(Protocol):
    """Time of the experiment."""

    def time(self) -> float:
        """Now (s), monotonic."""

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""


class Clock(ExperimentClock, Protocol):
    """Clock of the World."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Execute an action after `seconds`, independent of the instruments' clients; it must not sleep."""


@dataclass(frozen=True)
class SourceState:
    """State of the source-meter's terminals: voltage (V), current (A), whether the current limit acts."""

    voltage: float
    current: float
    limited: bool


@dataclass(frozen=True)
class Source:
    """Settings of the source-meter: level (V), output relay, current limit (A)."""

    level: float = 0.0
    output: bool = False
    current_limit: float = 1e-4

    @property
    def voltage(self) -> float:
        """Voltage at its terminals (V)."""
        return self.level if self.output else 0.0


class World:
    """One simulated fridge with a SINIS device in it.

    Parameters
    ----------
    truth
        Contents of the truth file.
    clock
        Simulated or real time.

    Attributes
    ----------
    device
        The device itself.
    source
        Settings of the source-meter on the bias line.
    stage
        The device's stage with its heater.
    stated, errors
        What the station states of instruments and wiring, and the errors that are drawn from it at a reset.
    bias_changed_at, excitation_changed_at
        Time (s) of the last change of either, for instruments with a memory (a lock-in's filter).

    """

    def __init__(self, truth: Truth, clock: Clock) -> None:
        self.truth = truth
        self.stated: Sequence[StatedSource] = ()
        self.clock = clock
        self.wiring = truth.true_wiring()
        self.reset(truth.noise.seed)

    def reset(self, seed: int) -> None:
        """Switch everything off, as after power-up, and start the noise from `seed`."""
        self.seed = seed
        self._random = np.random.default_rng(seed)
        kind, device_seed = self.truth.instrument_errors, self.truth.device_seed(seed)
        self.device = Device(self.truth.drawn(device_seed))
        self._coldest = np.inf
        self.stage = StageHeat(self.truth.fridge, self.clock.time(), self.truth.fridge.mixing_chamber_temperature**2)
        stated = () if kind == "none" else self.stated
        self.errors = InstrumentErrors(stated, device_seed, normal=kind == "normal")
        self.drawn = f"{kind} {device_seed}" if stated or self.truth.resonator.fano_real_sigma else ""
        self._imperfections = Imperfections(self.truth, seed)
        self.source = Source()
        self._times_on, self._zero_drift, self._target = 0, 0.0, 0.0
        self._excitation, self._excitation_frequency = 0.0, 75.0
        self._cycle: tuple[tuple[float, float, float], DeviceState] | None = None
        self._line_start = 0.0
        self._started = self.bias_changed_at = self.excitation_changed_at = self.clock.time()

    # --- set by the instruments ---------------------------------------------------------------------------------

    def set_source(self, *, level: float, output: bool, current_limit: float) -> None:
        """The source-meter's level (V), output relay and current limit (A)."""
        if output and not self.source.output:
            self._zero_drift += self.errors.step_of_zero(self._times_on)
            self._times_on += 1
        self.source = Source(level, output, current_limit)
        target = self._within_limit(self.source.voltage / self.divider)
        if target != 0:
            self._coldest = min(self._coldest, self.bath_temperature())
        if target != self._target:
            self._line_start = self.line_voltage()
            self.bias_changed_at = self.clock.time()
            self._target = target

    def set_excitation(self, amplitude: float, frequency: float = 75.0) -> None:
        """The lock-in's sine output (V rms) and its frequency (Hz)."""
        self._excitation = amplitude
        self._excitation_frequency = frequency
        self.excitation_changed_at = self.clock.time()

    def heat_stage(self, power: float, target: float | None = None) -> None:
        """The heater of the device's stage: its power (W); or the most of a loop that holds a `target` (K), as read."""
        error = self.errors.of("fridge.temperature")
        held = None if target is None else max(target - error, 0.0)
        self.stage = self.stage.changed(self.clock.time(), power, held)

    def bath_temperature(self) -> float:
        """Temperature (K) of the device's stage now, with what its heater does."""
        return self.stage.temperature(self.clock.time())

    def coldest_bath(self) -> float:
        """Lowest temperature (K) of the stage at which there was a bias; that now if there was none."""
        return self.bath_temperature() if np.isinf(self._coldest) else self._coldest

    # --- the bias line -------------------------------------------------------------------------------------------

    def line_voltage(self) -> float:
        """Voltage behind the divider now (V): the filters follow the source with their time constant."""
        if self.wiring.time_constant == 0:
            return self._target
        elapsed = self.clock.time() - self.bias_changed_at
        missing = (self._line_start - self._target) * float(np.exp(-elapsed / self.wiring.time_constant))
        # Within a picovolt, far below any noise, the line counts as settled.
        return self._target + missing if abs(missing) > 1e-12 else self._target

    @property
    def voltage_offset(self) -> float:
        """What the device sees more than the line (V) now."""
        return self.truth.noise.voltage_offset + self._zero_drift

    def current_limit(self) -> float:
        """The current limit (A) of the source."""
        return self.source.current_limit

    @property
    def divider(self) -> float:
        """The true divider: what the station states differs by an error, unless the truth file has its own."""
        own = self.truth.wiring is not None and "divider" in self.truth.wiring.model_fields_set
        return self.wiring.divider if own else self.wiring.divider / (1 + self.errors.of("divider"))

    @property
    def series_resistance(self) -> float:
        """The true series resistance (ohm), as `divider`."""
        own = self.truth.wiring is not None and "series_resistance" in self.truth.wiring.model_fields_set
        stated = self.wiring.series_resistance
        return stated if own else max(stated - self.errors.of("series_resistance"), 0.0)

    def _within_limit(self, line: float) -> float:
        """The line voltage (V) of the source: less than its level where its current limit acts.

        Behind a divider the source's limit applies to the device's current; the divider's current is not modelled.
        """
        limit = self.current_limit()
        available = line + self.voltage_offset
        # The usual case without a limit.
        if abs(available) * self.device.largest_conductance <= limit or abs(self._current_at(line)) <= limit:
            return line
        # No current flows where the line cancels the offset, which need not be at zero.
        without_current = -self.voltage_offset
        return float(brentq(lambda v: abs(self._current_at(v)) - limit, without_current, line, xtol=1e-12))

    def _current_at(self, line: float) -> float:
        return float(self.device_state(line).current)

    def device_state(self, line_voltage: ArrayLike) -> DeviceState:
        """The device with `line_voltage` (V) behind the divider: with the offset and the series resistance.

        Raises
        ------
        TruthError
            The truth's device has no steady state.

        """
        try:
            line = np.asarray(line_voltage) + self.voltage_offset
            self.device.bath_temperature = self.bath_temperature()
            return self.device.behind(self.series_resistance, line)
        except NoOperatingPointError as error:
            raise TruthError(f"the device of the truth file cannot be biased like this: {error}") from error

    def present_state(self) -> DeviceState:
        """The device now, over one cycle of the lock-in's excitation; a single bias if there is none.

        The excitation moves the line; how much of it reaches the device follows from the true I–V curve, phase by
        phase.
        """
        line, bath = self.line_voltage(), self.bath_temperature()
        known = (line + self.voltage_offset, self._excitation, bath)
        # All instruments read it at every point, but only a new bias, excitation or bath changes it.
        if self._cycle is None or self._cycle[0] != known:
            waveform = np.sqrt(2) * self._excitation / self.wiring.excitation_divider * _CYCLE
            self._cycle = (known, self.device_state(line + waveform if self._excitation else [line]))
        return self._cycle[1]

    # --- read by the instruments ---------------------------------------------------------------------------------

    def source_state(
        self, integration_time: float, voltage_range: float = np.nan, current_range: float = np.nan
    ) -> SourceState:
        """Reading of the source-meter at its terminals in `integration_time` (s), with its ranges (V, A) if known."""
        noise = self.truth.noise
        scatter = noise.current_white * np.sqrt(1 / (2 * integration_time)) * self._random.standard_normal()
        if not self.source.output:
            return SourceState(0.0, 0.0, limited=False)
        voltage = self.line_voltage() * self.divider
        current = self._integrated(self.present_state().current, integration_time) + noise.current_offset + scatter
        return SourceState(
            self._read("voltage", voltage, voltage, voltage_range),
            self._read("current", current, current, current_range),
            limited=self._target != self.source.voltage / self.divider,
        )

    def _integrated(self, waveform: NDArray[np.float64], duration: float) -> float:
        """Mean over the last `duration` (s) of what has this `waveform` over a cycle of the excitation.

        Only over whole cycles is it the mean of the cycle: of harmonic n the part sinc(n·f·duration) is left.
        """
        if waveform.size == 1:
            return float(waveform[0])
        harmonic = np.arange(1, waveform.size // 2)
        amplitude = np.fft.rfft(waveform)[harmonic] / waveform.size
        cycles = self._excitation_frequency * duration
        # The phases of a cycle are in the middle of its parts; the middle of the window counts.
        middle = 2 * np.pi * (self._excitation_frequency * self.clock.time() - cycles / 2 - 0.5 / waveform.size)
        left = 2 * (amplitude * np.exp(1j * harmonic * middle) * np.sinc(harmonic * cycles)).real.sum()
        return float(waveform.mean() + left)

    def _read(self, kind: str, value: float, held: float, measuring_range: float = np.nan) -> float:
        """`value` as an instrument of a `kind` reads it, in this range or in the one that holds a value `held`."""
        gain, offset = (self.errors.of(f"{kind}.{part}", held, measuring_range) for part in ("gain", "offset"))
        drift = self._hours * self.errors.of("current.drift") if kind in ("current", "ammeter") else 0.0
        return value * (1 + gain) + offset + drift

    def amplifier_voltage(self, bandwidth: float, signal: Signal | None = None) -> float:
        """`signal`, by default the current amplifier's output (V): its mean over 1/2B, for a `bandwidth` B (Hz)."""
        what = signal or self._amplified
        waveform, white = self._waveform(what)
        offset = self.truth.noise.current_offset if what.of == "current" else 0.0
        scatter = white * np.sqrt(bandwidth) * self._random.standard_normal()
        return float((self._integrated(waveform, 1 / (2 * bandwidth)) + offset + scatter) * what.gain)

    def metered(self, bandwidth: float, signal: Signal | None = None, largest: float = 0.0) -> float:
        """`amplifier_voltage` with the errors of the amplifier and of a meter whose range holds `largest` (V)."""
        what = signal or self._amplified
        value = self.amplifier_voltage(bandwidth, what) / what.gain
        kind = "ammeter" if what.of == "current" else "voltmeter"
        held = max(abs(value), abs(largest / what.gain))
        return what.gain * self._read(kind, value, held)

    def lockin_input(self, bandwidth: float, signal: Signal | None = None) -> complex:
        """First harmonic of `signal` (V rms), by default the current amplifier's output, in a noise `bandwidth` (Hz).

        The excitation is finite: the current is averaged over its cycle, not differentiated.
        """
        what = signal or self._amplified
        waveform, white = self._waveform(what)
        first_harmonic = np.sqrt(2) * np.mean(waveform * _CYCLE) if self._excitation else 0.0
        scatter = white * np.sqrt(bandwidth) * self._random.standard_normal(2)
        return complex(first_harmonic + scatter[0], scatter[1]) * what.gain * (1 + self.errors.of("conductance.gain"))

    def _waveform(self, signal: Signal) -> tuple[NDArray[np.float64], float]:
        """The device's current (A) or voltage (V) over a cycle of the excitation, and its white noise (1/√Hz)."""
        state, noise = self.present_state(), self.truth.noise
        return (state.current, noise.current_white) if signal.of == "current" else (state.voltage, noise.voltage_white)

    @property
    def _amplified(self) -> Signal:
        return Signal(gain=self.wiring.gain())

    def power_spectral_density(
        self, frequencies: NDArray[np.float64], samples: float, noise_bandwidth: float = 0.0
    ) -> NDArray[np.float64]:
        """Power spectral density at the spectrum analyzer (W/Hz), shape of `frequencies` (Hz).

        Each value is the mean of `samples` independent radiometer samples (noise bandwidth × time), so it scatters
        by 1/√samples of itself, as a χ² variable does. A filter of `noise_bandwidth` (Hz) smears the emission.
        """
        chain, resonator, state = self.truth.chain, self.device.resonator, self.present_state()
        true = self._true(frequencies)
        line, excess = self._photons()
        seen = self._imperfections.seen_from_resonance(true)
        emitted = self.device.emitted_spectrum(state, seen, noise_bandwidth, line, excess)
        # What arrives by the line beyond its temperature is reflected; the emission is what the device adds to it.
        noise = k * chain.noise_temperature + h * resonator.frequency * self.truth.resonator.line_photons
        whole = partial(resonator.emitted_power, line_photons=line, excess_photons=excess)
        power = 0.0 if chain.saturation_power is None else self.device.mean_over(state, whole).item()
        drift = self._hours * (chain.gain_drift + self.errors.of("analyzer.gain_drift"))
        mean = 10 ** ((chain.gain_db + drift) / 10) * (noise + emitted)
        # The analyzer's scale is right at the noise of the chain.
        mean *= (1 + emitted / noise) ** self.errors.of("analyzer.linearity")
        mean *= 10 ** (self.errors.of("analyzer.amplitude") / 10)
        mean *= self._imperfections.compression(power) * self._imperfections.ripple(true)
        mean += 10 ** (chain.gain_db / 10) * noise * self._imperfections.spurs(frequencies)
        return np.asarray(mean * self._random.gamma(samples, 1 / samples, frequencies.shape))

    def _photons(self) -> tuple[float, float]:
        """Photon numbers of the line and of the excess bath."""
        resonator, bath = self.truth.resonator, self.bath_temperature()
        excess = bath if resonator.excess_temperature is None else resonator.excess_temperature
        line, other = (float(thermal_photon_number(resonator.frequency, kelvin)) for kelvin in (bath, excess))
        return line + resonator.line_photons, other

    def reflection(self, frequencies: NDArray[np.float64], power: float, bandwidth: float) -> NDArray[np.complex128]:
        """S11 as the network analyzer sees it (ratio of amplitudes), shape of `frequencies` (Hz).

        Network analyzers count phase as e^{+jωt}, physics as e^{−iωt}: the device's Γ appears conjugated.
        `power` (W) leaves the analyzer; `bandwidth` (Hz) is the noise bandwidth of one point, averaging included.
        """
        truth, true = self.truth, self._true(frequencies)
        reflected = partial(self.device.resonator.reflection, self._imperfections.seen_from_resonance(true))
        gamma = self.device.mean_over(self.present_state(), reflected)
        gain = 10 ** (truth.chain.gain_db / 10) * self._imperfections.ripple(true)
        incident = power * 10 ** (-truth.cable.loss_db / 10)
        noise_power = gain * k * truth.chain.noise_temperature * bandwidth
        scatter = self._random.standard_normal((2, *frequencies.shape)) * np.sqrt(noise_power / power / 2)
        background = self._cable(frequencies) * np.sqrt(gain * incident / power)
        return np.asarray(self._drift() * (background * gamma.conj() + scatter[0] + 1j * scatter[1]))

    def _true(self, frequencies: NDArray[np.float64]) -> NDArray[np.float64]:
        """The true frequencies (Hz) of what the analyzers, with one reference, show as `frequencies`."""
        return frequencies / (1 + self.errors.of("frequency"))

    def _drift(self) -> complex:
        """Factor by which network analyzer and chain have drifted since the reset."""
        phase = np.deg2rad(self._hours * self.errors.of("vna.phase_drift"))
        magnitude = self._hours * (self.truth.chain.gain_drift + self.errors.of("vna.magnitude_drift"))
        return complex(10 ** (magnitude / 20) * np.exp(1j * phase))

    @property
    def _hours(self) -> float:
        """Time (h) since the reset."""
        return (self.clock.time() - self._started) / 3600

    def _cable(self, frequencies: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Delay and standing waves of the cables, without their loss."""
        cable = self.truth.cable
        # Two standing waves of incommensurate length, as from reflections between connectors.
        ripple = 0.7 * np.cos(2 * np.pi * frequencies / 31e6 + 0.4) + 0.3 * np.cos(2 * np.pi * frequencies / 11.3e6)
        amplitude = 10 ** (cable.ripple_db * ripple / 2 / 20)
        phase = np.exp(-2j * np.pi * frequencies * cable.delay + 0.05j * cable.ripple_db * ripple)
        return np.asarray(amplitude * phase)

    def stage_temperature(self, stage: Stage) -> float:
        """The true temperature (K) of a stage."""
        if stage == "mixing_chamber":
            return self.bath_temperature()
        return float(getattr(self.truth.fridge, f"{stage}_temperature"))

    def temperature(self, stage: Stage) -> float:
        """One thermometer reading (K)."""
        value = self.stage_temperature(stage)
        read = value * (1 + self.truth.noise.temperature_relative * float(self._random.standard_normal()))
        return read + (self.errors.of("fridge.temperature") if stage == "mixing_chamber" else 0.0)
