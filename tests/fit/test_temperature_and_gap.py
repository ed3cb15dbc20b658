"""(T_e, Δ) of the published cooler from I and dI/dV together: right within their σ, with a gap that moves or not."""

from dataclasses import replace

import numpy as np
import pytest

from labnis.fit import FitError
from labnis.fit.junction.temperature_and_gap import _NONE, _UNDETERMINED, TemperatureAndGap, _Curve, temperature_and_gap
from labnis.physics import AndreevChannel, InjectedSuperconductor, NISJunction, SINISCooler
from sim_instruments import Truth
from tests.fit.cooling import ALUMINIUM, CURRENT_NOISE, Readings, lockin_noise, micro_cooler, readings
from tests.fit.measuring import SERIES_RESISTANCE

WARM = 0.3
SINE = 0.1
BIASES = np.array([-4.1e-4, 3.5e-4, 4.6e-4])


def cooler_of(truth: Truth) -> SINISCooler:
    """What one would know of the device of `truth`."""
    island, junction = truth.island, NISJunction(**truth.junction.model_dump())
    assert island.volume is not None
    assert island.electron_phonon is not None
    andreev = AndreevChannel(**island.andreev.model_dump()) if island.andreev else None
    injected = island.superconductor
    superconductor = InjectedSuperconductor(junction.gap, **injected.model_dump()) if injected else None
    return SINISCooler(
        junction,
        island.volume,
        island.electron_phonon,
        island.kapitza,
        andreev,
        island.leakage_resistance,
        superconductor,
    )


def measured(truth: Truth, seed: int, biases: np.ndarray, repeats: int = 12) -> Readings:
    """Readings without their offsets."""
    noise = truth.noise
    raw = readings(truth, seed, biases, repeats=repeats, sine=SINE)
    voltage = raw.voltage + noise.voltage_offset + SERIES_RESISTANCE * noise.current_offset
    return raw._replace(voltage=voltage, current=raw.current - noise.current_offset)


def solved(data: Readings, cooler: SINISCooler, bath: float) -> TemperatureAndGap:
    return temperature_and_gap(
        data.voltage,
        data.current,
        data.conductance,
        cooler,
        bath,
        current_noise=CURRENT_NOISE,
        conductance_noise=lockin_noise(data.conductance, SINE),
        series_resistance=SERIES_RESISTANCE,
        excitation=SINE / 1e4,
    )


def assert_within_sigma(data: Readings, found: TemperatureAndGap) -> None:
    temperature = ((found.electron_temperature - data.temperature) / found.temperature_sigma)[found.determined]
    gap = ((found.gap - data.gap) / found.gap_sigma)[found.determined]
    for pulls in (temperature, gap):
        # Within three standard deviations of a share of 68 %.
        assert abs((np.abs(pulls) < 1).mean() - 0.68) < 3 * 0.47 / np.sqrt(pulls.size)
        assert np.abs(pulls).max() < 4.5


@pytest.fixture(scope="module")
def still() -> tuple[Truth, Readings]:
    truth = micro_cooler(0.09)
    return truth, measured(truth, 1, np.array([0.0, 2e-4, 3.7e-4, 4.1e-4, -4.25e-4, 4.6e-4]))


@pytest.fixture(scope="module")
def moving() -> tuple[Truth, Readings]:
    truth = micro_cooler(WARM, superconductor=ALUMINIUM)
    return truth, measured(truth, 2, BIASES)


def test_truth_lies_within_sigma_where_the_gap_stays(still: tuple[Truth, Readings]) -> None:
    truth, data = still
    found = solved(data, cooler_of(truth), 0.09)
    assert found.determined[24:].all()
    assert_within_sigma(data, found)
    assert not found.warnings
    assert all("does not stand out" in text for text in found.reason[:24]), "zero bias, and deep in the gap"


def test_moving_gap_is_found(moving: tuple[Truth, Readings]) -> None:
    truth, data = moving
    found = solved(data, cooler_of(truth), WARM)
    assert np.ptp(data.gap) > 1e-6
    assert found.determined.all()
    assert_within_sigma(data, found)
    assert not found.warnings


def test_gap_that_moves_though_it_should_not_is_reported(moving: tuple[Truth, Readings]) -> None:
    truth, data = moving
    found = solved(data, replace(cooler_of(truth), superconductor=None), WARM)
    assert any("give the cooler a superconductor" in text for text in found.warnings)


def test_temperature_and_gap_are_not_distinguished_where_the_slopes_are_alike() -> None:
    truth = micro_cooler(WARM)
    found = solved(measured(truth, 3, np.array([2.8e-4, 2.9e-4, 4e-4]), 2), cooler_of(truth), WARM)
    assert not found.determined[:4].any()
    # Noise may also leave no solution at all: two of them meet there.
    assert set(found.reason[:4]) <= {_UNDETERMINED, _NONE}
    assert _UNDETERMINED in found.reason
    assert found.determined[4:].all()


def test_covariance_is_the_response_to_noise(still: tuple[Truth, Readings]) -> None:
    truth, data = still
    best = Readings(*(column[[30, -20]] for column in data))
    step = 0.01 * CURRENT_NOISE
    noisy = best._replace(current=best.current + step, voltage=best.voltage - SERIES_RESISTANCE * step)
    louder = best._replace(conductance=best.conductance + 0.01 * lockin_noise(best.conductance, SINE))
    together = Readings(*(np.concatenate(columns) for columns in zip(best, noisy, louder, strict=True)))
    found = solved(together, cooler_of(truth), 0.09)
    pairs = np.stack([found.electron_temperature, found.gap]).reshape(2, 3, 2)
    change = 100 * (pairs[:, 1:] - pairs[:, :1])
    expected, covariance = np.einsum("icn,jcn->nij", change, change), found.covariance[:2]
    scale = np.sqrt(np.einsum("nii,njj->nij", covariance, covariance))
    np.testing.assert_allclose(expected / scale, covariance / scale, atol=0.01)


def test_curve_is_that_of_the_cooler() -> None:
    cooler = replace(cooler_of(micro_cooler(0.09)), leakage_resistance=1e7)
    voltage = np.array([-4e-4, 1e-4, 3e-4])
    point = cooler.operating_point(voltage, 0.09)
    curve = _Curve(cooler, point)
    current, slope = curve.at(np.stack([point.electron_temperature, point.gap]))
    np.testing.assert_allclose(current, point.current, rtol=1e-9)
    np.testing.assert_allclose(slope, cooler.conductance(point))


ROW = np.linspace(3e-4, 4e-4, 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"current": np.full(5, np.nan)}, "none of 5 points is finite"),
        ({"conductance": np.full(4, 1e-6)}, r"conductance has shape \(4,\); columns of one dimension and equal length"),
        ({"conductance": np.full(5, 1e-6j)}, "conductance is complex"),
        ({"conductance_noise": 0.0}, "conductance_noise must be finite and positive"),
        ({"current_noise": np.nan}, "current_noise must be finite and positive"),
        ({"current": np.full(5, 1e-14)}, "no point determines temperature and gap: current or conductance does not"),
        ({"current": np.full(5, 1e-6)}, "no point determines temperature and gap: no temperature and gap give"),
        ({"device_voltage": 1e3 * ROW}, "has no steady state there"),
    ],
)
def test_bad_data(changes: dict[str, np.ndarray], message: str) -> None:
    good = {"device_voltage": ROW, "current": np.full(5, 1e-9), "conductance": np.full(5, 1e-5)}
    noise = {"current_noise": CURRENT_NOISE, "conductance_noise": 1e-8}
    with pytest.raises(FitError, match=message):
        temperature_and_gap(cooler=cooler_of(micro_cooler(WARM)), bath_temperature=WARM, **(good | noise | changes))


@pytest.mark.long
@pytest.mark.parametrize("injected", [None, ALUMINIUM])
def test_coverage(injected: dict[str, float] | None) -> None:
    truth = micro_cooler(WARM, superconductor=injected)
    data = measured(truth, 7, np.linspace(3.2e-4, 6e-4, 25), repeats=40)
    found = solved(data, cooler_of(truth), WARM)
    temperature = ((found.electron_temperature - data.temperature) / found.temperature_sigma)[found.determined]
    gap = ((found.gap - data.gap) / found.gap_sigma)[found.determined]
    shares = [(np.abs(pulls) < 1).mean() for pulls in (temperature, gap)]
    assert np.abs(np.array(shares) - 0.68).max() < 0.05, shares
