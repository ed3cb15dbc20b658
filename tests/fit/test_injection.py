"""Quasiparticles in the superconductors of a cooler: fitted, bounded and handed on by the I–V fit."""

import numpy as np
import pytest

from labnis.fit import fit_current_voltage
from labnis.fit.junction._island import island_state
from labnis.fit.junction.cooling_curves import with_extremes
from labnis.fit.resonator._tunnelling import tunnelling, tunnelling_slopes
from sim_instruments.world.device import Device
from tests.fit.cooling import ALUMINIUM
from tests.fit.measuring import SERIES_RESISTANCE, current_voltage, device
from tests.fit.test_island import STATE, cooler, fitted, found, junction_pulls

INJECTED = STATE | {"injection": 2e4}
# The slopes of the Andreev current, and those by the superconductors' temperature, are those of a gap that stays.
TOLERANCES = {"electron_temperature": 3e-2} | dict.fromkeys(
    ("dynes", "andreev_normal", "andreev_superconductor", "dephasing_rate"), 1e-2
)


@pytest.mark.parametrize("name", INJECTED)
@pytest.mark.parametrize("injection", [0.0, 2e4])
def test_slopes_with_injection_are_those_of_differences(name: str, injection: float) -> None:
    values = INJECTED | {"injection": injection}
    voltage = np.linspace(-1.2e-3, 1.2e-3, 24) + 1.2e-6
    state = island_state(values, voltage, [name])
    step = {"voltage_offset": 1e-9, "current_offset": 1e-12}.get(name, 1e-5 * abs(values[name])) or 1e3
    lower = values[name] - step if values[name] > step else values[name]
    up, down = (island_state(values | {name: value}, voltage, [name]) for value in (values[name] + step, lower))
    width = values[name] + step - lower
    expected = {
        "current_slopes": (up.current - down.current) / width + (name == "current_offset"),
        "temperature_slopes": (up.temperature - down.temperature) / width,
        "gap_slopes": (up.gap - down.gap) / width,
    }
    tolerance = TOLERANCES.get(name, 1e-3)
    for kind, difference in expected.items():
        atol = tolerance * max(float(np.abs(difference).max()), 1e-12)
        np.testing.assert_allclose(getattr(state, kind)[:, 0], difference, atol=atol)


def test_reflection_and_emission_follow_the_gap() -> None:
    values = INJECTED | {"ohmic_frequency": 4.67e9, "voltage_offset": 0.0}
    voltage = np.array([1e-4, 4e-4, 4.4e-4, 1e-3])
    state = island_state(values, voltage, ["gap"])
    for n in range(voltage.size):
        alone = {"gap": float(state.gap[n]), "electron_temperature": float(state.temperature[n])}
        plain = {name: values[name] for name in ("dynes", "voltage_offset", "ohmic_frequency")}
        for mine, expected in zip(tunnelling(values, voltage), tunnelling(plain | alone, voltage[[n]]), strict=True):
            assert mine[n] == pytest.approx(expected[0], rel=1e-9)
    step = 1.0
    up, down = (tunnelling(values | {"injection": 2e4 + s}, voltage) for s in (step, -step))
    for mine, high, low in zip(tunnelling_slopes(values, voltage)["injection"], up, down, strict=True):
        expected = (high - low) / (2 * step)
        np.testing.assert_allclose(mine, expected, atol=1e-3 * np.abs(expected).max())


def test_what_is_not_there_is_bounded() -> None:
    fit = fit_current_voltage(*current_voltage(device(), points=401), series_resistance=SERIES_RESISTANCE)
    for name in ("injection", "superconductor_warming"):
        assert "95 %" in fit.assumed[name] and "which would change gap by" in fit.assumed[name]
    assert not fit.warnings


def test_injection_beside_a_kapitza_resistance() -> None:
    # The search had left the Kapitza resistance out before injection came, and the coldest electrons were 5σ off.
    superconductor = ALUMINIUM | {"volume": 1.8e-20, "outflow": 9e7}
    island = {"volume": 5.8e-19, "kapitza": 1.9e-9, "andreev": None, "superconductor": superconductor}
    truth = cooler(junction={"resistance": 14e3}, island=island, fridge={"mixing_chamber_temperature": 0.15})
    voltage, current = current_voltage(truth, points=401)
    fit = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE, resistance_sigma=2.0)
    assert {"kapitza_resistance", "injection"} <= set(found(fit))
    coldest = Device(truth).cooling(0.15)["lowest_electron_temperature"]
    lowest = with_extremes(fit, float(voltage.max()))["lowest_electron_temperature"]
    assert abs(lowest.value - coldest) < 3 * lowest.sigma
    assert max(map(abs, junction_pulls(fit, truth).values())) < 4


@pytest.mark.long
@pytest.mark.timeout(600)
def test_injection_is_recognised_and_measured() -> None:
    # Without it the gap was 220σ off, and the resistance 185σ.
    truth = cooler(island={"superconductor": ALUMINIUM | {"outflow": 3e8}})
    fit = fitted(truth)
    assert "injection" in found(fit)
    assert not fit.warnings
    assert max(map(abs, junction_pulls(fit, truth).values())) < 4
