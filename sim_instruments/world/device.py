"""The simulated device: NIS junctions, such as two with a normal-metal island, and the resonator that they damp."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.polynomial.hermite import hermgauss
from numpy.typing import ArrayLike, NDArray

from labnis.physics import (
    AndreevChannel,
    InjectedSuperconductor,
    NISJunction,
    NoOperatingPointError,
    Resonator,
    SINISCooler,
    UnequalPair,
)
from labnis.physics.superconductor import bcs_gap
from sim_instruments.world.steady_states import SteadyStates
from sim_instruments.world.truth import Truth

__all__ = ["Device", "DeviceState"]

Real = NDArray[np.float64]
Number = TypeVar("Number", np.float64, np.complex128)

# Steps in which the bias line is solved; halving alone needs some 45 for a femtovolt.
_STEPS = 200
# Nodes of the quadrature over the filter of a spectrum analyzer.
_NODES = 5
# Number of times that a step to a bias without a steady state is halved.
_HALVINGS = 30


@dataclass(frozen=True)
class DeviceState:
    """The device in its steady state at some biases, all of one shape.

    Attributes
    ----------
    voltage
        Voltage across the device (V).
    current
        Current through the device (A).
    conductance
        Slope of the steady states (S), used by the iteration only.
    electron_temperature
        Temperature of the island's electrons (K).
    gap
        Gap of the superconductors next to the junctions (eV).

    """

    voltage: Real
    current: Real
    conductance: Real
    electron_temperature: Real
    gap: Real


class Device:
    """The true device, independent of the connected instruments.

    Electrons, phonons and quasiparticles follow the bias at once: their times, microseconds at the longest, are short
    against a cycle of the lock-in.

    Parameters
    ----------
    truth
        Contents of the truth file.

    Attributes
    ----------
    resonator
        With its ohmic (high-bias) frequency; the truth file has the one at zero bias.

    """

    def __init__(self, truth: Truth) -> None:
        self.junction = NISJunction(truth.junction.gap, truth.junction.resistance, truth.junction.dynes)
        self._truth = truth
        self._bath = truth.fridge.mixing_chamber_temperature
        self._unbiased_temperature = self._unbiased_at(self._bath)
        # All junctions and islands are alike: voltage and current of one pair, per those of the device.
        self._pair_voltage, self._pair_current = 2 / truth.series, 1 / truth.parallel
        # Junctions at an island; a single one is half of a pair.
        self._sides = min(truth.series, 2)
        self._cooler = _cooler(self.junction, truth)
        self._interpolated: SteadyStates | None = None
        self.resonator = self._ohmic_resonator(truth)

    def _ohmic_resonator(self, truth: Truth) -> Resonator:
        r = truth.resonator
        unshifted = Resonator(r.frequency, r.damping_line, r.damping_excess, r.damping_junction, fano=complex(*r.fano))
        shifted = unshifted
        unbiased = self.state(0.0)
        # The shift itself depends on the frequency, only weakly: three rounds reach rounding error.
        for _ in range(3):
            shift = shifted.lamb_shift(self.junction, 0.0, float(unbiased.electron_temperature))
            shifted = replace(unshifted, frequency=r.frequency - float(shift))
        return shifted

    @property
    def bath_temperature(self) -> float:
        """Temperature (K) of the stage; gap and electrons follow it.

        The gap of the truth file is that at its mixing chamber's temperature. Electrons of constant temperature, or a
        substrate that is warmer than the stage, have the constant heat that this means: T⁵ − T_bath⁵ stays.
        """
        return self._bath

    @bath_temperature.setter
    def bath_temperature(self, kelvin: float) -> None:
        if kelvin == self._bath:
            return
        truth, base = self._truth, self._truth.fridge.mixing_chamber_temperature
        self._bath, self._interpolated = kelvin, None
        self._unbiased_temperature = self._unbiased_at(kelvin)
        if truth.island.superconductor is None:  # which has the gap at its temperature itself
            now, then = (float(bcs_gap(temperature, truth.junction.gap)) for temperature in (kelvin, base))
            self.junction = replace(self.junction, gap=truth.junction.gap * now / then)
            self._cooler = _cooler(self.junction, truth)

    def _unbiased_at(self, kelvin: float) -> float:
        """Temperature (K) of the electrons without bias, and of what is below an island with a heat balance."""
        island, base = self._truth.island, self._truth.fridge.mixing_chamber_temperature
        own = island.temperature or island.substrate_temperature
        if own is None or kelvin == base:
            return own or kelvin
        return float(max(own**5 + kelvin**5 - base**5, 0.0) ** 0.2)

    def cooling(self, bath_temperature: float) -> dict[str, float]:
        """Parameters of the heat balance, and what it achieves at a bath (K); empty for a constant temperature."""
        self.bath_temperature = bath_temperature
        cooler, island = self._cooler, self._truth.island
        if cooler is None:
            return {}
        known = {"electron_phonon": island.electron_phonon, "kapitza": island.kapitza}
        known["leakage_conductance"] = 1 / island.leakage_resistance if island.leakage_resistance else 0.0
        scale, wires = 0.0, (0.0, 0.0)
        if (andreev := island.andreev) is not None:
            scale = andreev.scale
            wires = andreev.resistance_per_length, andreev.superconductor_resistance_per_length
        known["andreev_normal"], known["andreev_superconductor"] = (scale * wire for wire in wires)
        bias = np.linspace(0.0, 1.1 * 2 * self.junction.gap, 4001)
        point = cooler.operating_point(bias, self._unbiased_temperature)
        best = int(np.argmax(point.cooling_power))
        known["maximum_cooling_power"] = float(point.cooling_power[best]) * self._sides / 2
        known["optimal_bias"] = float(bias[best]) / self._pair_voltage
        known["efficiency"] = float(point.cooling_power[best] / (point.current[best] * bias[best]))
        known["lowest_electron_temperature"] = float(point.electron_temperature.min())
        return {name: value for name, value in known.items() if value is not None}

    @property
    def edge(self) -> float:
        """Voltage (V) across the device at which the junctions reach their gap."""
        return 2 * self.junction.gap / self._pair_voltage

    @property
    def largest_conductance(self) -> float:
        """A bound (S) of current per voltage, at every bias."""
        leak = self._cooler.leakage_resistance if self._cooler is not None else None
        # Half of it is the normal current; Andreev current is a small part of that.
        of_pair = 1 / self.junction.resistance + (1 / leak if leak else 0.0)
        return of_pair * self._pair_voltage / self._pair_current

    def state(self, device_voltage: ArrayLike) -> DeviceState:
        """The steady state at `device_voltage` (V).

        Raises
        ------
        NoOperatingPointError
            The heat balance of the island has no solution with superconducting electrodes.

        """
        voltage = np.asarray(device_voltage, dtype=np.float64)
        if self._cooler is None:
            temperature = np.full_like(voltage, self._unbiased_temperature)
            if self._truth.asymmetry:
                pair = UnequalPair(self.junction, self._truth.asymmetry)
                current, conductance = (f(voltage, temperature) for f in (pair.current, pair.conductance))
                return DeviceState(voltage, current, conductance, temperature, np.full_like(voltage, self.junction.gap))
            each = voltage * self._pair_voltage / 2
            return DeviceState(
                voltage,
                self.junction.current(each, temperature) / self._pair_current,
                self.junction.conductance(each, temperature) * self._pair_voltage / 2 / self._pair_current,
                temperature,
                np.full_like(voltage, self.junction.gap),
            )
        point = self._cooler.operating_point(voltage * self._pair_voltage, self._unbiased_temperature)
        conductance = self._cooler.conductance(point) * self._pair_voltage / self._pair_current
        current = point.current / self._pair_current
        return DeviceState(voltage, current, conductance, point.electron_temperature, point.gap)

    def cooling_power(self, state: DeviceState) -> Real:
        """Heat (W) that the junctions take out of an island in a `state`."""
        # Electrons of constant temperature have superconductors of the same.
        unbiased = np.full_like(state.voltage, self._unbiased_temperature)
        bath = state.electron_temperature if self._cooler is None else unbiased
        power = np.empty_like(state.voltage)
        for gap in np.unique(state.gap):
            at = state.gap == gap
            junction = replace(self.junction, gap=float(gap))
            each = state.voltage[at] * self._pair_voltage / 2
            power[at] = self._sides * junction.cooling_power(each, state.electron_temperature[at], bath[at])
        return power

    def behind(self, resistance: float, line_voltage: ArrayLike) -> DeviceState:
        """The state with `line_voltage` (V) across device and a series `resistance` (ohm), which takes part of it.

        Raises
        ------
        NoOperatingPointError
            As `state`.

        """
        line = np.asarray(line_voltage, dtype=np.float64)
        if resistance == 0:
            return self.state(line)
        sign = np.where(line < 0, -1.0, 1.0)
        # The device takes the voltage's sign and no more than all of it; at 0 it always has a steady state.
        low, high = np.zeros_like(line), np.abs(line)
        state = self._state_towards(low, high * sign)
        for _ in range(_STEPS):
            excess = (state.voltage + resistance * state.current - line) * sign
            reached = state.voltage * sign
            low, high = np.where(excess < 0, reached, low), np.where(excess > 0, reached, high)
            newton = reached - excess / (1 + resistance * state.conductance)
            voltage = np.where((newton >= low) & (newton <= high), newton, (low + high) / 2)
            if (np.abs(voltage - reached) <= 1e-15 + 1e-13 * np.abs(line)).all():
                return state
            state = self._state_towards(low * sign, voltage * sign)
        raise ArithmeticError(f"the bias line has no solution at {line.ravel()[0]:g} V behind {resistance:g} ohm")

    def _state_towards(self, known: Real, voltage: Real) -> DeviceState:
        """The state at `voltage` or, where there is none, nearer to `known`, where there is one."""
        for _ in range(_HALVINGS):
            try:
                return self._behind_line(voltage)
            except NoOperatingPointError:
                voltage = (known + voltage) / 2
        return self._behind_line(voltage)

    def _behind_line(self, voltage: Real) -> DeviceState:
        """As `state`, to 1 fA, from steady states that are computed once."""
        if self._cooler is None:
            return self.state(voltage)
        if self._interpolated is None:
            self._interpolated = SteadyStates(self._cooler, self._unbiased_temperature)
        found = self._interpolated(voltage * self._pair_voltage)
        conductance = found.conductance * self._pair_voltage / self._pair_current
        return DeviceState(
            voltage, found.current / self._pair_current, conductance, found.electron_temperature, found.gap
        )

    def emitted_spectrum(
        self, state: DeviceState, frequency: Real, noise_bandwidth: float, line_photons: float, excess_photons: float
    ) -> Real:
        """Emission into the line (W/Hz) at each `frequency` (Hz), as a filter of `noise_bandwidth` (Hz) shows it.

        The filter is a Gaussian, whose noise bandwidth is √(2π) of its standard deviation; 0 is none. The photons are
        those of the baths, as for `Resonator.emitted_spectrum`.
        """
        nodes, weights = hermgauss(_NODES if noise_bandwidth else 1)
        # All at once, as what the junctions do does not depend on the frequency that is looked at.
        shifted = np.add.outer(nodes * noise_bandwidth / np.sqrt(np.pi), frequency)
        spectrum = partial(self.resonator.emitted_spectrum, line_photons=line_photons, excess_photons=excess_photons)
        found = self.mean_over(state, partial(spectrum, shifted.ravel())).reshape(shifted.shape)
        return np.asarray(np.tensordot(weights, found, axes=1) / np.sqrt(np.pi))

    def mean_over(
        self, state: DeviceState, quantity: Callable[[NISJunction, Real, Real], NDArray[Number]]
    ) -> NDArray[Number]:
        """Mean over the biases of `state`, one-dimensional, of a `quantity`(junction, voltage, electron temperature).

        Voltage (V, of one junction) and temperature (K) have shape (biases, 1), the quantity (biases, any).
        """
        parts = []
        for gap in np.unique(state.gap):
            at = state.gap == gap
            junction = replace(self.junction, gap=float(gap))
            each = state.voltage[at, None] * self._pair_voltage / 2
            parts.append(quantity(junction, each, state.electron_temperature[at, None]))
        return np.asarray(np.concatenate(parts).mean(axis=0))


def _cooler(junction: NISJunction, truth: Truth) -> SINISCooler | None:
    """The heat balance of a pair of the device; None for electrons of constant temperature.

    With a single junction it is that of two such islands, side by side.
    """
    island, islands = truth.island, 2 if truth.series == 1 else 1
    leak = 1 if island.leakage_resistance is None else island.leakage_resistance * truth.parallel * 2 / truth.series
    if island.volume is None or island.electron_phonon is None:
        return None
    return SINISCooler(
        junction,
        island.volume * islands,
        island.electron_phonon,
        island.kapitza * islands if island.kapitza else None,
        AndreevChannel(**island.andreev.model_dump()) if island.andreev else None,
        leak if island.leakage_resistance else None,
        InjectedSuperconductor(junction.gap, **island.superconductor.model_dump()) if island.superconductor else None,
    )
