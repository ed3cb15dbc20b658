"""Measurements on the World without instruments: data of a perfect front panel."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drivers.wiring import Amplifier, Wiring
from labnis.fit import EmissionData, FitResult, ReflectionData, fit_current_voltage
from sim_instruments import SimulatedClock, Truth
from sim_instruments.world import World
from sim_instruments.world.device import DeviceState
from tests.isothermal_device import isothermal

__all__ = [
    "assert_jacobian",
    "current_voltage",
    "device",
    "emission",
    "fitted_current_voltage",
    "pulls",
    "reflection",
    "swept",
    "switched_on",
]

SERIES_RESISTANCE = 2000.0
WIRING = Wiring(series_resistance=SERIES_RESISTANCE, amplifiers={"preamplifier": Amplifier(gain=1e7)})
Real = NDArray[np.float64]


def device(**changes: Mapping[str, Any]) -> Truth:
    """The shipped device at one temperature with some keys of some sections changed."""
    document = isothermal().model_dump()
    for section, values in changes.items():
        document[section] = (document[section] or {}) | dict(values)
    return Truth.model_validate(document)


class SweptWorld(World):
    """A World that solves the device at all biases of a sweep together: a hundred times faster than one by one."""

    _ahead: Mapping[float, DeviceState] = {}

    def look_ahead(self, biases: Real) -> None:
        """Solve for `biases` (V) without excitation; what is solved for is found again by its line voltage."""
        lines = biases / self.wiring.divider
        columns = vars(super().device_state(lines[:, None])).values()
        self._ahead = {line: DeviceState(*row) for line, *row in zip(lines.tolist(), *columns, strict=True)}

    def device_state(self, line_voltage: ArrayLike) -> DeviceState:
        line = np.asarray(line_voltage)
        found = self._ahead.get(float(line[0])) if line.shape == (1,) else None
        return super().device_state(line) if found is None else found


def switched_on(truth: Truth, seed: int, excitation: float = 0.0) -> SweptWorld:
    """A World with its own noise and the lock-in's sine output at `excitation` (V rms)."""
    world = SweptWorld(truth, SimulatedClock())
    world.reset(seed)
    world.set_excitation(excitation)
    return world


def swept(world: SweptWorld, biases: Real, measure: Callable[[World], Any]) -> tuple[Real, Real, NDArray[Any]]:
    """Device voltage, current and what `measure` returns, at every bias."""
    voltage, current, measured = [], [], []
    world.look_ahead(biases)
    for bias in biases:
        world.set_source(level=float(bias), output=True, current_limit=1e-4)
        world.clock.sleep(0.05)
        state = world.source_state(0.04)
        current.append(state.current)
        voltage.append(state.voltage - SERIES_RESISTANCE * state.current)
        measured.append(measure(world))
    return np.array(voltage), np.array(current), np.array(measured)


def current_voltage(
    truth: Truth, seed: int = 0, *, maximum: float = 1.2e-3, points: int = 201, excitation: float = 0.0
) -> tuple[Real, Real]:
    """Device voltage (V) and current (A)."""
    biases = np.linspace(-maximum, maximum, points)
    voltage, current, _ = swept(switched_on(truth, seed, excitation), biases, lambda _: 0)
    return voltage, current


def fitted_current_voltage(truth: Truth, seed: int = 0) -> FitResult:
    """Prior of the other fits."""
    return fit_current_voltage(*current_voltage(truth, seed), series_resistance=SERIES_RESISTANCE)


def reflection(
    truth: Truth,
    seed: int = 0,
    *,
    centre: float = 4.67e9,
    span: float = 100e6,
    biases: int = 31,
    frequencies: int = 201,
) -> ReflectionData:
    """Traces from zero bias to several gaps, at -30 dBm and 100 Hz of noise bandwidth."""
    frequency = centre + np.linspace(-span / 2, span / 2, frequencies)
    voltage, _, s11 = swept(
        switched_on(truth, 1000 + seed), np.linspace(0, 2.4e-3, biases), lambda w: w.reflection(frequency, 1e-6, 100.0)
    )
    return ReflectionData(voltage, frequency, s11)


def emission(
    truth: Truth,
    seed: int = 0,
    *,
    centre: float = 4.67e9,
    span: float = 140e6,
    biases: int = 31,
    frequencies: int = 301,
    samples: float = 4e3,
    noise_bandwidth: float = 0.0,
) -> EmissionData:
    """Spectra from zero bias to many gaps, each point the mean of `samples` radiometer samples behind a filter (Hz)."""
    frequency = centre + np.linspace(-span / 2, span / 2, frequencies)
    voltage, _, spectrum = swept(
        switched_on(truth, 2000 + seed),
        np.linspace(0, 5e-3, biases),
        lambda w: w.power_spectral_density(frequency, samples, noise_bandwidth),
    )
    bath = truth.fridge.mixing_chamber_temperature
    return EmissionData(voltage, frequency, spectrum, bath, noise_bandwidth=noise_bandwidth)


def assert_jacobian(model: Any, x: Real, steps: Real) -> None:
    """The Jacobian of `model` at `x` is that of central differences over `steps`."""
    for column, step in zip(model.jacobian(x).T, np.diag(steps), strict=True):
        difference = (model.residuals(x + step) - model.residuals(x - step)) / (2 * step.max())
        np.testing.assert_allclose(difference, column, atol=1e-5 * np.abs(column).max())


def pulls(fit: FitResult, truth: Truth) -> dict[str, float]:
    """(value − truth)/σ of every parameter of `fit` that the truth file states."""
    stated = {
        "gap": truth.junction.gap,
        "normal_resistance": truth.junction.resistance,
        "dynes": truth.junction.dynes,
        **({"electron_temperature": truth.island.temperature} if truth.island.temperature else {}),
        "current_offset": truth.noise.current_offset,
        # The drop over the line is computed from the reading, offset included.
        "voltage_offset": truth.noise.voltage_offset + SERIES_RESISTANCE * truth.noise.current_offset,
        "damping_line": truth.resonator.damping_line,
        "damping_excess": truth.resonator.damping_excess,
        "damping_junction": truth.resonator.damping_junction,
        "resonance_frequency": truth.resonator.frequency,
        "fano_real": truth.resonator.fano[0],
        "fano_imag": truth.resonator.fano[1],
        "gain": truth.chain.gain_db,
        "noise_temperature": truth.chain.noise_temperature,
    }
    return {name: (fit[name].value - stated[name]) / fit[name].sigma for name in fit.names if name in stated}
