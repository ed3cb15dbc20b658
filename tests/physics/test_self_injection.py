"""The cooler with a gap lowered by its own current: against its equations, a search through all gaps, and limits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.constants import e, k
from scipy.optimize import brentq

from labnis.physics import (
    AndreevChannel,
    InjectedSuperconductor,
    NISJunction,
    NoOperatingPointError,
    OperatingPoint,
    SINISCooler,
    bcs_gap,
    nonequilibrium_state,
)
from tests.physics.micro_cooler import channel, uncertainty

GAP = 200e-6
CRITICAL = GAP * e / k / 1.763877
# The 40 × 7 µm² aluminium junction of test_superconductor, and a copper island of that area, 0.1 µm thick.
LEAD = InjectedSuperconductor(GAP, 1.72e28, 280e-18, 1e-17, 1e7)
COOLER = SINISCooler(NISJunction(GAP, 1.0, 1e-4), 28e-18, 2e9, None, superconductor=LEAD)
# Electrons held at the bath's temperature, recombination only: the gap can jump.
HELD = replace(
    COOLER,
    junction=NISJunction(GAP, 1.0, 1e-5),
    volume=1e-6,
    superconductor=InjectedSuperconductor(GAP, 1.72e28, 280e-18, 1.05e-18, 0.0),
)


def with_resistance(resistance: float, device: SINISCooler = COOLER) -> SINISCooler:
    return replace(device, junction=replace(device.junction, resistance=resistance))


def check_equations(device: SINISCooler, point: OperatingPoint) -> None:
    """Gap and µ* are those that the current leaves, the heat is that of a junction with them, and it is balanced."""
    lead = device.superconductor
    assert lead is not None
    for i in np.ndindex(point.gap.shape):
        bath, electrons = float(point.bath_temperature[i]), float(point.electron_temperature[i])
        v, gap, potential = float(point.device_voltage[i]) / 2, float(point.gap[i]), float(point.chemical_potential[i])
        junction = replace(device.junction, gap=gap)
        current = float(junction.current(v, electrons))
        assert point.quasiparticle_current[i] == pytest.approx(
            current, rel=1e-12, abs=1e-13 * abs(v) / junction.resistance
        )
        assert gap == pytest.approx(float(lead.gap(abs(current), bath)), rel=1e-9)
        density = lead.quasiparticle_density(abs(current), bath) / lead.density_scale
        expected = nonequilibrium_state(density, bath, GAP).chemical_potential
        assert potential == pytest.approx(float(expected), abs=1e-8 * GAP)
        power = 2 * junction.cooling_power(v, electrons, bath, chemical_potential=potential)
        assert point.cooling_power[i] == pytest.approx(float(power), rel=1e-9, abs=1e-14 * GAP**2 / junction.resistance)
    assert (np.abs(point.imbalance) <= uncertainty(device, point)).all()


@pytest.mark.parametrize("bath", [0.005, 0.1, 0.334, 0.9])
def test_gap_quasiparticles_and_heat_belong_to_the_same_state(bath: float) -> None:
    bias = np.array([-5e-4, -3.7e-4, 0.0, 1e-9, 2e-4, 3.9e-4, 4.05e-4, 6e-4])
    check_equations(COOLER, COOLER.operating_point(bias, bath))


@pytest.mark.parametrize("bath", [0.005, 0.1, 0.334])
@pytest.mark.parametrize("error", [0.0, 1e-4, 1e-2])
def test_a_start_close_to_the_states_changes_nothing(bath: float, error: float) -> None:
    bias = np.linspace(-6e-4, 6e-4, 101)
    for resistance in (1.0, 30.0):
        device = with_resistance(resistance)
        point = device.operating_point(bias, bath)
        start, near = point.electron_temperature * (1 + 10 * error), point.gap * (1 - error * np.cos(1e4 * bias))
        again = device.operating_point(bias, bath, start=start, near=near)
        np.testing.assert_allclose(again.gap, point.gap, rtol=1e-11)
        np.testing.assert_allclose(again.electron_temperature, point.electron_temperature, rtol=1e-7)
        np.testing.assert_allclose(again.current, point.current, rtol=1e-7, atol=1e-20)


def test_a_start_on_the_other_side_of_a_jump_changes_nothing() -> None:
    bias = np.linspace(3e-4, 4.5e-4, 61)
    point = HELD.operating_point(bias, 0.1)
    near = np.flip(point.gap)
    again = HELD.operating_point(bias, 0.1, start=point.electron_temperature, near=near)
    np.testing.assert_allclose(again.gap, point.gap, rtol=1e-10)


def test_a_cooler_with_everything_obeys_its_equations_and_its_slopes() -> None:
    lead = replace(LEAD, volume=1e-19)
    device = SINISCooler(NISJunction(GAP, 400.0, 1e-4), 6e-20, 2e9, 1e-9, channel(), 1e8, lead)
    bias, step = np.array([-3.9e-4, -1e-4, 3e-5, 2.5e-4, 3.8e-4, 4.2e-4, 4.6e-4]), 1e-9
    point = device.operating_point(bias, 0.25)
    check_equations(device, point)
    assert point.gap[-1] < 0.985 * bcs_gap(0.25, GAP)
    up, down = device.operating_point(bias + step, 0.25), device.operating_point(bias - step, 0.25)
    for name, slope in (
        ("electron_temperature", device.temperature_slope(point)),
        ("gap", device.gap_slope(point)),
        ("current", device.conductance(point)),
    ):
        expected = (getattr(up, name) - getattr(down, name)) / (2 * step)
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("outflow", [0.0, 1e7])
@pytest.mark.parametrize("bath", [0.02, 0.3])
def test_slopes_are_those_of_finite_differences(outflow: float, bath: float) -> None:
    device = replace(COOLER, superconductor=replace(LEAD, outflow=outflow))
    bias, step = np.array([-4.1e-4, -3.9e-4, 1e-5, 2e-4, 3.95e-4, 5e-4]), 1e-9
    up, down = device.operating_point(bias + step, bath), device.operating_point(bias - step, bath)
    point = device.operating_point(bias, bath)
    for name, slope in (
        ("electron_temperature", device.temperature_slope(point)),
        ("gap", device.gap_slope(point)),
        ("current", device.conductance(point)),
    ):
        expected = (getattr(up, name) - getattr(down, name)) / (2 * step)
        np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_at_zero_bias_there_is_equilibrium_and_finite_slopes() -> None:
    for lead in (LEAD, replace(LEAD, outflow=0.0)):
        device = replace(COOLER, superconductor=lead)
        point = device.operating_point(0.0, [0.005, 0.1, 0.5])
        np.testing.assert_allclose(point.gap, bcs_gap([0.005, 0.1, 0.5], GAP), rtol=1e-12)
        np.testing.assert_allclose(point.electron_temperature, [0.005, 0.1, 0.5], rtol=1e-9)
        np.testing.assert_allclose(point.chemical_potential, 0.0, atol=1e-9 * GAP)
        assert (device.temperature_slope(point) == 0).all()
        assert (device.gap_slope(point) == 0).all()
        conductance = replace(device.junction, gap=float(point.gap[2])).conductance(0.0, 0.5) / 2
        assert device.conductance(point)[2] == pytest.approx(float(conductance), rel=1e-9)


def mismatch(device: SINISCooler, bias: float, bath: float, gaps: np.ndarray) -> np.ndarray:
    """Density that each gap needs less the one that the current keeps up, T_e by root finding on public functions."""
    lead = device.superconductor
    assert lead is not None
    result = []
    for gap in gaps:
        junction = replace(device.junction, gap=float(gap))
        density = brentq(
            lambda n, gap=gap: float(nonequilibrium_state(n, bath, GAP).gap) - gap, 1e-12, 0.1924, xtol=1e-14
        )
        potential = float(nonequilibrium_state(density, bath, GAP).chemical_potential)

        def balance(t: float, junction: NISJunction = junction, potential: float = potential) -> float:
            power = junction.cooling_power(bias / 2, t, bath, chemical_potential=potential)
            return 2 * float(power) + device.electron_phonon * device.volume * (t**5 - bath**5)

        electrons = brentq(balance, 1e-3, 2.0, xtol=1e-12)
        current = abs(float(junction.current(bias / 2, electrons)))
        result.append(density - float(lead.quasiparticle_density(current, bath)) / lead.density_scale)
    return np.array(result)


def test_of_several_states_the_one_with_the_largest_gap_is_found() -> None:
    bath, gaps = 0.02, GAP * np.array([0.9999, 0.995, 0.9, 0.7])
    signs = np.sign(mismatch(HELD, 370e-6, bath, gaps))
    assert (np.diff(signs) != 0).sum() == 3
    point = HELD.operating_point(370e-6, bath)
    assert signs[0] < 0 < signs[1]
    assert gaps[1] < point.gap < gaps[0]


def test_the_gap_jumps_where_the_state_with_the_larger_one_ends() -> None:
    bias = np.linspace(375e-6, 385e-6, 51)
    gap = HELD.operating_point(bias, 0.02).gap
    fall = -np.diff(gap)
    assert (fall > 0).all()
    jump = int(np.argmax(fall))
    assert fall[jump] > 0.2 * GAP > 50 * np.sort(fall)[-2]
    # The upper state ends as a square root: its slope diverges, within the grid's resolution.
    before = HELD.operating_point(bias[: jump + 1], 0.02)
    assert (np.diff(np.abs(HELD.gap_slope(before))) > 0).all()
    assert HELD.operating_point(bias[jump + 1], 0.02).gap < 0.75 * GAP
    # And it does end there: just above the jump no gap from here to the lower state satisfies the equations.
    beyond = mismatch(HELD, float(bias[jump + 1]), 0.02, np.linspace(0.999, 0.75, 12) * GAP)
    assert (beyond < 0).all()


coolers = st.builds(
    SINISCooler,
    junction=st.builds(NISJunction, gap=st.just(GAP), resistance=st.floats(0.02, 1e3), dynes=st.floats(1e-6, 1e-3)),
    volume=st.floats(1e-18, 1e-14),
    electron_phonon=st.floats(1e9, 5e9),
    kapitza=st.none() | st.floats(1e-10, 1e-6),
    superconductor=st.builds(
        InjectedSuperconductor,
        st.just(GAP),
        st.just(1.72e28),
        st.floats(1e-17, 1e-14),
        st.sampled_from([0.0, 1e-18, 1e-16]),
        st.floats(1e5, 1e9),
    ),
)


@settings(max_examples=15, derandomize=True, deadline=None)
@given(coolers, st.floats(-500e-6, 500e-6), st.floats(5e-3, 0.999 * CRITICAL), st.floats(1e-2, 2.0))
def test_every_solution_is_one_whatever_the_start(device: SINISCooler, bias: float, bath: float, start: float) -> None:
    try:
        point = device.operating_point([bias], bath)
    except NoOperatingPointError:
        return
    assert (np.abs(point.imbalance) <= uncertainty(device, point)).all()
    lead = device.superconductor
    assert lead is not None
    assert point.gap == pytest.approx(lead.gap(np.abs(point.quasiparticle_current), bath), rel=1e-8)
    other = device.operating_point(-bias, bath, start=start)
    assert other.gap == pytest.approx(point.gap[0], rel=1e-8)
    assert other.electron_temperature == pytest.approx(point.electron_temperature[0], rel=1e-8)


def test_fast_removal_leaves_the_gap_of_equilibrium() -> None:
    relieved = replace(COOLER, superconductor=replace(LEAD, outflow=1e16))
    bias, bath = np.array([2e-4, 3.9e-4, 4.2e-4]), 0.4
    fixed = replace(COOLER, junction=replace(COOLER.junction, gap=float(bcs_gap(bath, GAP))), superconductor=None)
    point, expected = relieved.operating_point(bias, bath), fixed.operating_point(bias, bath)
    np.testing.assert_allclose(point.gap, expected.gap, rtol=1e-6)
    np.testing.assert_allclose(point.electron_temperature, expected.electron_temperature, rtol=1e-5)
    np.testing.assert_allclose(point.current, expected.current, rtol=1e-5)
    np.testing.assert_array_equal(expected.chemical_potential, 0.0)


def test_where_no_gap_bears_the_current_the_error_says_so() -> None:
    device = with_resistance(0.02)
    assert device.operating_point(1e-5, 0.1).gap > 0.9 * GAP
    with pytest.raises(NoOperatingPointError, match=r"device_voltage = 0\.0004 V.*no gap supports .* current of 0\.0"):
        device.operating_point([1e-5, 4e-4], 0.1)


def test_a_superconductor_with_another_gap_is_refused() -> None:
    with pytest.raises(ValueError, match=r"zero_temperature_gap is 0\.00021; it must equal junction\.gap, 0\.0002"):
        replace(COOLER, superconductor=replace(LEAD, zero_temperature_gap=210e-6))
    with pytest.raises(ValueError, match=r"bath_temperature contains 1\.3158.*below 1\.316 K"):
        COOLER.operating_point(0.0, 1.3158)


def test_arrays_broadcast_and_single_values_do() -> None:
    point = COOLER.operating_point(np.linspace(0, 4e-4, 5), np.array([[0.1], [0.3]]))
    assert point.gap.shape == COOLER.conductance(point).shape == COOLER.gap_slope(point).shape == (2, 5)
    single = COOLER.operating_point(2e-4, 0.3)
    assert single.gap.shape == ()
    assert single.gap == pytest.approx(point.gap[1, 2] if point.device_voltage[1, 2] == 2e-4 else 0, rel=1e-9)
    assert COOLER.operating_point([], 0.1).gap.shape == (0,)


def test_a_thinner_barrier_stops_helping() -> None:
    """The conclusion of the KAKENHI report, from the solver itself: every bias of every barrier, T_e and gap solved."""
    # An island of 1 µm: its phonons take up what the junctions can give.
    bias, bath, device = np.linspace(320e-6, 400e-6, 33), 0.334, replace(COOLER, volume=2.8e-16)

    def best(device: SINISCooler) -> tuple[float, float]:
        point = device.operating_point(bias, bath)
        return float(point.cooling_power.max()), float(point.electron_temperature.min())

    barriers = [with_resistance(float(r), device) for r in np.geomspace(0.17, 5, 7)]
    power, coldest = np.array([best(barrier) for barrier in barriers]).T
    optimum = int(np.argmax(power))
    assert 0 < optimum < len(barriers) - 1
    assert (np.diff(power[: optimum + 1]) > 0).all()
    assert (np.diff(power[optimum:]) < 0).all()
    assert power[0] < 0.5 * power[optimum]
    assert coldest[0] > coldest[optimum]
    # With a gap that does not give way the thinnest barrier cools best.
    fixed = np.array([best(replace(barrier, superconductor=None)) for barrier in barriers])
    assert (np.diff(fixed[:, 0]) < 0).all()
    assert (np.diff(fixed[:, 1]) > 0).all()
    assert fixed[0, 1] < 0.5 * coldest[optimum]
    # The remedy that the report names: take the quasiparticles away.
    relieved = best(replace(barriers[optimum], superconductor=replace(LEAD, outflow=1e8)))
    assert relieved[0] > 1.3 * power[optimum]
    assert relieved[1] < coldest[optimum] - 0.05


def test_a_gap_is_found_where_secants_stay_at_one_end() -> None:
    # An island that a fit had found, normalised to 1 m³; rounding hides which of the last digits of the gap it is.
    andreev = AndreevChannel(0.008, 1.192228463995561e-06, 1229451.7474122513, 1.0, 648311.3045543977)
    device = SINISCooler(
        NISJunction(2.0749993663902777e-4, 38596.37528795763, 1.3069850071834994e-12), 1.0, 9.926886896135044e-10,
        5.731369918331411e-10, andreev=andreev, leakage_resistance=941029056.4338691,
        superconductor=InjectedSuperconductor(2.0749993663902777e-4, 1204.8196450050316, 1.0, 0.0, 413294933720310.9),
    )  # fmt: skip
    voltage = 8.020464838237362e-05 + np.array([-1e-8, 0.0, 1e-8])
    found = device.operating_point(voltage, 0.033857588618898225)
    for values in (found.electron_temperature, found.gap, found.current):
        assert values[1] == pytest.approx((values[0] + values[2]) / 2, rel=1e-4)
