"""The twin of the published micro-cooler, measured: its electron temperature depends on the bias."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labnis.fit import FitResult, fit_current_voltage
from sim_instruments import SHIPPED_TRUTH, Truth, load_truth
from tests.fit.measuring import SERIES_RESISTANCE, WIRING, current_voltage, switched_on

__all__ = ["ALUMINIUM", "CURRENT_NOISE", "Readings", "known_junctions", "lockin_noise", "micro_cooler", "readings"]

Real = NDArray[np.float64]

# Injected quasiparticles leave quickly, so that the gap shrinks by some percent.
ALUMINIUM = {"density_of_states": 1.72e28, "volume": 1.8e-20, "recombination": 1e-17, "outflow": 1e8}
# One reading of 20 ms; one of the lock-in with a bandwidth of 2.5 Hz.
CURRENT_NOISE, LOCKIN_NOISE = 2e-13 * np.sqrt(1 / (2 * 0.04)), 2e-13 * np.sqrt(2.5)


def micro_cooler(bath: float = 0.09, **island: Any) -> Truth:
    """The shipped micro-cooler at another temperature (K) of the bath, with other keys of its island."""
    document = load_truth(SHIPPED_TRUTH.parent / "micro_cooler.yaml").model_dump()
    document["fridge"]["mixing_chamber_temperature"] = bath
    document["island"] |= island
    return Truth.model_validate(document)


def known_junctions(truth: Truth, seed: int = 0, points: int = 201) -> FitResult:
    """Fit of the same junctions with electrons that a large island keeps at 0.35 K."""
    warm = Truth.model_validate(truth.model_dump() | {"island": {"temperature": 0.35}})
    return fit_current_voltage(*current_voltage(warm, seed, points=points), series_resistance=SERIES_RESISTANCE)


class Readings(NamedTuple):
    """Device voltage (V), current (A) and conductance (S), and the true temperature (K) and gap (eV) there."""

    voltage: Real
    current: Real
    conductance: Real
    temperature: Real
    gap: Real


def readings(truth: Truth, seed: int, biases: Real, *, repeats: int = 1, sine: float = 0.0) -> Readings:
    """Several readings at each bias, with the lock-in's sine output at `sine` (V rms); no conductance without."""
    world, wiring, rows = switched_on(truth, seed, sine), WIRING, []
    world.look_ahead(biases)
    for bias in biases:
        world.set_source(level=float(bias), output=True, current_limit=1e-4)
        world.clock.sleep(0.05)
        true = world.device.state(world.present_state().voltage.mean())
        for _ in range(repeats):
            source = world.source_state(0.04)
            voltage = source.voltage - SERIES_RESISTANCE * source.current
            conductance = wiring.device_conductance(world.lockin_input(2.5), sine) if sine else np.nan
            rows.append((voltage, source.current, conductance, true.electron_temperature, true.gap))
    return Readings(*np.array(rows, dtype=np.float64).T)


def lockin_noise(conductance: Real, sine: float) -> Real:
    """Standard deviation (S) of one reading of the device's conductance."""
    return np.asarray(LOCKIN_NOISE / (sine / 1e4) * (1 + SERIES_RESISTANCE * conductance) ** 2)
