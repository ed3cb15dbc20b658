"""T_e(V) from the current of the published cooler: right within its σ, and NaN where it is not determined."""

from dataclasses import replace

import numpy as np
import pytest

from labnis.fit import FitError, FitResult
from labnis.fit.junction.thermometry import ElectronTemperature, _root, cooling_power, isotherm_temperature
from labnis.physics import AndreevChannel, NISJunction
from sim_instruments import Truth
from tests.fit.cooling import CURRENT_NOISE, Readings, known_junctions, micro_cooler, readings
from tests.fit.measuring import SERIES_RESISTANCE

BATH = 0.09
BIASES = np.array([-5e-4, -4.38e-4, -4e-4, -3.2e-4, 0.0, 5e-5, 2.9e-4, 3.3e-4, 3.7e-4, 4.1e-4, 4.3e-4, 4.4e-4, 4.8e-4])


@pytest.fixture(scope="module")
def truth() -> Truth:
    return micro_cooler(BATH)


@pytest.fixture(scope="module")
def known(truth: Truth) -> FitResult:
    return known_junctions(truth)


@pytest.fixture(scope="module")
def data(truth: Truth) -> Readings:
    return readings(truth, 1, BIASES, repeats=20)


def channel(truth: Truth) -> AndreevChannel:
    assert truth.island.andreev is not None
    return AndreevChannel(**truth.island.andreev.model_dump())


def inverted(data: Readings, known: FitResult, truth: Truth) -> ElectronTemperature:
    return isotherm_temperature(
        data.voltage,
        data.current,
        known,
        noise=CURRENT_NOISE,
        series_resistance=SERIES_RESISTANCE,
        andreev=channel(truth),
    )


@pytest.fixture(scope="module")
def found(data: Readings, known: FitResult, truth: Truth) -> ElectronTemperature:
    return inverted(data, known, truth)


@pytest.fixture(scope="module")
def once(data: Readings) -> Readings:
    """One reading at each bias."""
    return Readings(*(column[::20] for column in data))


def true_power(data: Readings, truth: Truth) -> np.ndarray:
    junction = NISJunction(truth.junction.gap, truth.junction.resistance, truth.junction.dynes)
    offset = truth.noise.voltage_offset + SERIES_RESISTANCE * truth.noise.current_offset
    return np.asarray(2 * junction.cooling_power((data.voltage + offset) / 2, data.temperature, BATH))


def test_truth_lies_within_sigma_in_two_cases_of_three(data: Readings, found: ElectronTemperature) -> None:
    pulls = ((found.electron_temperature - data.temperature) / found.sigma)[found.determined]
    assert pulls.size > 150
    # What the points have in common makes them fewer than they are.
    assert 0.5 < (np.abs(pulls) < 1).mean() < 0.85
    assert np.abs(pulls).max() < 4.5


def test_statistical_part_is_the_scatter_of_repeated_readings(found: ElectronTemperature) -> None:
    scatter = found.electron_temperature.reshape(-1, 20).std(axis=1, ddof=1)
    everywhere = found.determined.reshape(-1, 20).all(axis=1)
    expected = found.statistical.reshape(-1, 20).mean(axis=1)
    assert everywhere.sum() >= 7
    # 20 repeats know their standard deviation to 16 %.
    assert (np.abs(np.log(scatter / expected))[everywhere] < 0.55).all()


@pytest.mark.parametrize(
    ("bias", "reason"),
    [(0.0, "does not stand out"), (5e-5, "does not stand out"), (4.8e-4, "two temperatures"), (-5e-4, "two temper")],
)
def test_no_temperature_where_the_current_determines_none(bias: float, reason: str, found: ElectronTemperature) -> None:
    at = np.repeat(bias == BIASES, 20)
    assert np.isnan(found.electron_temperature[at]).all()
    assert np.isnan(found.sigma[at]).all()
    assert all(reason in text for text in found.reason[at])


def test_every_point_has_a_temperature_or_a_reason(found: ElectronTemperature) -> None:
    np.testing.assert_array_equal(found.determined, found.reason == "")


def test_common_part_is_what_a_change_of_the_known_parameters_makes(
    once: Readings, known: FitResult, truth: Truth
) -> None:
    found = inverted(once, known, truth)
    for direction, change in zip(_root(found.known.covariance).T, found.common.T, strict=True):
        more, less = (
            inverted(once, replace(found.known, values=found.known.values + step * direction), truth)
            for step in (0.1, -0.1)
        )
        difference = (more.electron_temperature - less.electron_temperature) / 0.2
        both = found.determined & np.isfinite(difference)
        np.testing.assert_allclose(difference[both], change[both], rtol=0.02, atol=1e-4 * found.sigma[both].max())


def test_covariance_has_both_parts(found: ElectronTemperature) -> None:
    covariance = found.covariance[np.ix_(found.determined, found.determined)]
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), found.sigma[found.determined])
    assert covariance[0, 1] != 0


def test_cooling_power_is_right_within_its_sigma(data: Readings, found: ElectronTemperature, truth: Truth) -> None:
    power = cooling_power(found, BATH, bath_sigma=1e-4)
    np.testing.assert_array_equal(np.isfinite(power.power), found.determined)
    pulls = ((power.power - true_power(data, truth)) / power.sigma)[found.determined]
    assert np.abs(pulls).max() < 4.5
    assert power.covariance.shape == (power.power.size, power.power.size)


def test_cooling_power_carries_noise_known_parameters_and_bath(once: Readings, known: FitResult, truth: Truth) -> None:
    found, side = inverted(once, known, truth), np.sign(once.voltage)
    power = cooling_power(found, BATH, bath_sigma=1e-3)
    step = 0.01 * CURRENT_NOISE
    noisy = once._replace(current=once.current + side * step, voltage=once.voltage - side * SERIES_RESISTANCE * step)
    direction = replace(found.known, values=found.known.values + 0.01 * _root(found.known.covariance)[:, -1])
    for changed, expected in (
        (cooling_power(inverted(noisy, known, truth), BATH), power.statistical),
        (cooling_power(inverted(once, direction, truth), BATH), power.common[:, 4]),
        (cooling_power(found, BATH + 1e-5), power.common[:, 5]),
    ):
        moved = 100 * (changed.power - power.power)
        fine = np.isfinite(moved)
        np.testing.assert_allclose(moved[fine], expected[fine], rtol=0.03, atol=1e-3 * power.sigma[fine].max())


def test_leakage_is_taken_off(known: FitResult, truth: Truth, data: Readings, found: ElectronTemperature) -> None:
    voltage = data.voltage + known["voltage_offset"].value
    leaking = isotherm_temperature(
        data.voltage,
        data.current + voltage / 1e8,
        known,
        noise=CURRENT_NOISE,
        series_resistance=SERIES_RESISTANCE,
        andreev=channel(truth),
        leakage_resistance=1e8,
    )
    np.testing.assert_allclose(leaking.electron_temperature, found.electron_temperature, rtol=1e-8)


def test_points_that_are_not_finite_are_named(known: FitResult, truth: Truth, data: Readings) -> None:
    current = data.current.copy()
    current[::2] = np.nan
    found = inverted(data._replace(current=current), known, truth)
    assert set(found.reason[::2]) == {"the point is not finite"}
    assert found.determined[1::2].any()


def test_one_point_is_enough(known: FitResult, truth: Truth, data: Readings, found: ElectronTemperature) -> None:
    best = int(np.flatnonzero(found.determined)[0])
    one = inverted(Readings(*(column[[best]] for column in data)), known, truth)
    assert one.electron_temperature[0] == pytest.approx(found.electron_temperature[best])


EMPTY, ROW = np.zeros(0), np.linspace(1e-4, 4e-4, 5)


@pytest.mark.parametrize(
    ("voltage", "current", "message"),
    [
        (EMPTY, EMPTY, "none of 0 points is finite"),
        (ROW, np.full(5, np.nan), "none of 5 points is finite"),
        (ROW, np.zeros(4), r"current has shape \(4,\); columns of one dimension and equal length"),
        (ROW, ROW * 1e-6j, "current is complex"),
        (1e3 * ROW, 1e-7 * np.ones(5), "no point determines a temperature: two temperatures.*in volt and ampere"),
        (ROW, 1e3 * ROW / 4e3, "no point determines a temperature: more current than.*in volt and ampere"),
        (ROW, np.zeros(5), "no point determines a temperature: the current does not stand out"),
    ],
)
def test_bad_data(voltage: np.ndarray, current: np.ndarray, message: str, known: FitResult) -> None:
    with pytest.raises(FitError, match=message):
        isotherm_temperature(voltage, current, known, noise=1e-12)


@pytest.mark.parametrize("wrong", [{"noise": -1.0}, {"noise": 1e-12, "series_resistance": np.nan}])
def test_numbers_out_of_range(wrong: dict[str, float], known: FitResult) -> None:
    with pytest.raises(FitError, match="must be finite and 0 or more"):
        isotherm_temperature(ROW, ROW, known, **wrong)


def test_fit_without_the_parameters_is_refused(known: FitResult) -> None:
    with pytest.raises(FitError, match="has no current_offset"):
        isotherm_temperature(ROW, ROW, known.select(known.names[:-1]), noise=1e-12)


@pytest.mark.parametrize("bath", [0.0, -0.1, np.nan])
def test_bath_has_to_be_positive(bath: float, found: ElectronTemperature) -> None:
    with pytest.raises(FitError, match="bath_temperature is"):
        cooling_power(found, bath)


@pytest.mark.long
def test_coverage_over_seeds(truth: Truth) -> None:
    data, pulls = readings(truth, 100, np.linspace(2.8e-4, 4.38e-4, 20), repeats=100), []
    for seed in range(100):
        once = Readings(*(column[seed::100] for column in data))
        known = known_junctions(truth, 200 + seed)
        found = inverted(once, known, truth)
        power = cooling_power(found, BATH)
        temperature = (found.electron_temperature - once.temperature) / found.sigma
        pulls.append(
            np.stack([temperature, (power.power - true_power(once, truth)) / power.sigma])[:, found.determined]
        )
    shares = (np.abs(np.concatenate(pulls, axis=1)) < 1).mean(axis=1)
    assert np.abs(shares - 0.68).max() < 0.05, shares
