"""Current and lock-in conductance of one run, fitted together."""

from dataclasses import replace

import numpy as np
import pytest

from labnis.fit import FitResult, fit_current_voltage
from labnis.fit.arrays import Real
from labnis.fit.junction._current_and_conductance import CurrentAndConductance
from labnis.fit.junction._heated_pair import HeatedPair, Readings
from labnis.fit.junction._line import GAIN, LINE
from sim_instruments import Truth
from tests.fit.measuring import SERIES_RESISTANCE, WIRING, assert_jacobian, device, pulls, swept, switched_on
from tests.fit.test_island import STATE, cooler

SINE = 0.02
LINE_EXCITATION = SINE / 1e4


def both(truth: Truth, seed: int, *, sine: float = SINE, points: int = 81) -> tuple[Real, Real, Real]:
    """Device voltage (V), current (A) and conductance (S), with the lock-in's sine output at `sine` (V rms)."""
    world = switched_on(truth, seed, sine)
    voltage, current, read = swept(world, np.linspace(-1.2e-3, 1.2e-3, points), lambda w: w.lockin_input(0.5))
    return voltage, current, np.array([WIRING.device_conductance(reading, sine) for reading in read])


def fitted(voltage: Real, current: Real, conductance: Real | None = None, **options: object) -> FitResult:
    return fit_current_voltage(
        voltage, current, conductance=conductance, excitation=LINE_EXCITATION, series_resistance=SERIES_RESISTANCE,
        **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def quiet() -> Truth:
    """A current that is read so badly that the lock-in counts."""
    return device(noise={"current_offset": 0.0})


@pytest.fixture(scope="module")
def readings(quiet: Truth) -> tuple[Real, Real, Real]:
    voltage, current, conductance = both(quiet, 3)
    return voltage, current + 2e-11 * np.random.default_rng(3).standard_normal(current.size), conductance


def test_each_reading_counts_once(readings: tuple[Real, Real, Real], quiet: Truth) -> None:
    voltage, current, _ = readings
    alone, together = fitted(voltage, current), fitted(*readings)
    assert set(together.names) - set(alone.names) == {GAIN}
    assert max(map(abs, pulls(together, quiet).values())) < 4, pulls(together, quiet)
    assert not together.warnings
    assert together[GAIN].value == pytest.approx(0, abs=4 * together[GAIN].sigma)
    for name in ("gap", "electron_temperature"):
        assert together[name].sigma < 0.9 * alone[name].sigma


def test_the_gain_of_the_lock_in_moves_nothing_else(readings: tuple[Real, Real, Real]) -> None:
    voltage, current, conductance = readings
    line = conductance / (1 + SERIES_RESISTANCE * conductance)
    louder = 1.03 * line / (1 - SERIES_RESISTANCE * 1.03 * line)
    right, wrong = fitted(*readings), fitted(voltage, current, louder)
    assert 1 + wrong[GAIN].value == pytest.approx(1.03 * (1 + right[GAIN].value), abs=0.05 * right[GAIN].sigma)
    for name in ("gap", "normal_resistance", "electron_temperature", "dynes"):
        assert wrong[name].value == pytest.approx(right[name].value, abs=0.1 * right[name].sigma)


def test_rows_without_a_conductance_still_have_their_current(readings: tuple[Real, Real, Real]) -> None:
    voltage, current, conductance = readings
    some = np.where(np.arange(voltage.size) % 3 == 0, np.nan, conductance)
    fit = fitted(voltage, current, some)
    assert fit.mask.size == 2 * voltage.size - np.isnan(some).sum()
    assert fit.mask.all()
    assert not fit.warnings
    assert fitted(voltage, current, np.full_like(voltage, np.nan)).names == fitted(voltage, current).names


def test_a_lock_in_that_lags_behind_is_a_doubt(readings: tuple[Real, Real, Real]) -> None:
    voltage, current, conductance = readings
    lagging = np.convolve(conductance, [0.0, 0.5, 0.5], mode="same")
    lagging[[0, -1]] = conductance[[0, -1]]
    assert fitted(voltage, current, lagging).warnings


@pytest.mark.long
def test_the_island_of_a_cooler() -> None:
    truth = cooler()
    voltage, current, conductance = both(truth, 1, points=101)
    together = fitted(voltage, current, conductance)
    distances = pulls(together, truth)
    assert max(map(abs, distances.values())) < 4, distances
    assert not together.warnings


def test_slopes_are_those_of_differences() -> None:
    names = [*STATE, LINE, GAIN]
    x = np.array([*STATE.values(), 3.0, 0.01])
    voltage = np.linspace(-1.2e-3, 1.2e-3, 12) + 3e-6
    readings = Readings(voltage, voltage / 4e3, SERIES_RESISTANCE, LINE_EXCITATION, 10.0)
    pair = HeatedPair.of(readings, names, x)
    model = CurrentAndConductance.of(pair, np.full(12, 2e-4), 1e-6)
    steps = np.array([1e-4 * abs(value) or 1e-12 for value in x])
    steps[names.index("voltage_offset")] = 1e-9
    # The voltage at which the line's error acts is that of the readings.
    assert_jacobian(model, x, steps)


@pytest.mark.parametrize("seeds", [1, pytest.param(8, marks=pytest.mark.long)])
@pytest.mark.parametrize("scatter", [0.0, 2e-8])
def test_noise_of_the_voltage_is_found_and_weighed(scatter: float, seeds: int) -> None:
    """Over many seeds: σ is as large as the errors, also where the voltage scatters at the steep edges of the gap."""
    truth = device(junction={"resistance": 3e3}, island={"temperature": 0.05})
    voltage, current, conductance = both(truth, 1, points=201)
    expected = fitted(voltage, current, conductance)
    distances = []
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        found = fitted(
            voltage + scatter * draw.standard_normal(voltage.size),
            current + 1e-12 * draw.standard_normal(voltage.size),
            conductance,
            start=replace(expected, limits={}),
        )
        told = [note for note in found.notes if "the voltage scatters" in note]
        assert bool(told) == bool(scatter)
        assert not found.warnings
        distances += list(pulls(found, truth).values())
    assert max(map(abs, distances)) < 4
    if seeds > 1:
        assert 0.6 < np.sqrt(np.mean(np.square(distances))) < 1.5
