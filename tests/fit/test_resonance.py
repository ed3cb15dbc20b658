"""One trace without a reference: right within its σ, or a refusal or warning; never wrong without a warning."""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from labnis.fit import FANO_REAL, FitError, FitResult
from labnis.fit.parameters import Parameter
from labnis.fit.resonator._ports import PORTS
from labnis.fit.resonator.resonance import _Trace, fit_resonance
from labnis.physics import reflection_coefficient
from sim_instruments import Truth
from tests.fit.measuring import assert_jacobian, device, switched_on

DEVICES: dict[str, dict[str, Any]] = {
    "overcoupled": {},
    "without internal loss, so without a dip": {"damping_excess": 1e4, "damping_line": 4e7},
    "near critical coupling": {"damping_excess": 1.5e7},
    "undercoupled": {"damping_line": 4e6, "damping_excess": 2e7},
    "hardly coupled": {"damping_line": 1.5e6, "damping_excess": 2e7},
    "negative cross-talk": {"fano": [0.99, -0.15]},
}
BAND = 4.67e9 + np.linspace(-50e6, 50e6, 401)


@dataclass(frozen=True)
class Measured:
    """A trace of the twin at zero bias, and what is true of it."""

    frequency: np.ndarray
    s11: np.ndarray
    truth: dict[str, float]

    @classmethod
    def of(
        cls,
        truth: Truth,
        seed: int = 0,
        *,
        offset: float = 0.0,
        span: float = 40e6,
        points: int = 401,
        noise: float = 1,
    ) -> "Measured":
        world = switched_on(truth, seed)
        at = world.device.junction, truth.noise.voltage_offset / 2, truth.island.temperature
        resonator = world.device.resonator
        true = {
            "resonance_frequency": float(resonator.resonance_frequency(*at)),
            "damping_line": resonator.damping_line,
            "damping_internal": resonator.damping_excess + float(resonator.damping_rate(*at)),
            "fano_imag": resonator.fano.imag,
            "delay": truth.cable.delay,
        }
        frequency = true["resonance_frequency"] + offset + np.linspace(-span / 2, span / 2, points)
        return cls(frequency, world.reflection(frequency, 1e-6, 100.0 * noise**2), true)

    def fit(self, **options: Any) -> FitResult:
        return fit_resonance(self.frequency, self.s11, **options)

    def pulls(self, fit: FitResult) -> dict[str, float]:
        """Of all but the delay, which a rippling background makes a matter of definition."""
        return {
            name: (fit[name].value - true) / fit[name].sigma
            for name, true in self.truth.items()
            if name in fit.names and name != "delay"
        }


def straight(**resonator: Any) -> Truth:
    """The shipped device behind a cable without ripple."""
    return device(resonator=resonator, cable={"ripple_db": 0.0})


def difficult(seed: int) -> Measured:
    """Any coupling, ripple up to 3 dB, noise up to 20 times, any band, the resonance also at or beyond its edge."""
    draw = np.random.default_rng(seed)
    fano = draw.uniform(-0.25, 0.25)
    truth = device(
        resonator={
            "damping_line": 10 ** draw.uniform(6.3, 7.8),
            "damping_excess": 10 ** draw.uniform(5, 7.5),
            "fano": [np.sqrt(4 - fano**2) - 1, fano],
        },
        cable={"ripple_db": draw.choice([0, 0, 0.05, 0.3, 1.2, 3]), "delay": 10 ** draw.uniform(-9, -6.7)},
    )
    width = (truth.resonator.damping_line + truth.resonator.damping_excess) / (2 * np.pi)
    span = width * 10 ** draw.uniform(0.2, 1.8)
    return Measured.of(
        truth,
        seed,
        offset=draw.uniform(-0.6, 0.6) * span,
        span=span,
        points=int(draw.choice([101, 201, 401, 801])),
        noise=float(draw.choice([1, 5, 20])),
    )


def verdict(measured: Measured, **options: Any) -> str:
    """Refused, warned, right, or wrong without a word."""
    try:
        found = measured.fit(**options)
    except FitError:
        return "refused"
    if found.warnings:
        return "warned"
    return "right" if max(map(abs, measured.pulls(found).values())) < 5 else "wrong"


@pytest.fixture(scope="module")
def plain() -> Measured:
    return Measured.of(straight())


@pytest.fixture(scope="module")
def plain_fit(plain: Measured) -> FitResult:
    return plain.fit()


@pytest.mark.parametrize("noise", [1, 20])
@pytest.mark.parametrize("changes", DEVICES.values(), ids=DEVICES)
def test_truth_lies_within_four_sigma(changes: dict[str, Any], noise: float) -> None:
    measured = Measured.of(straight(**changes), 1, noise=noise)
    found = measured.fit()
    pulls = measured.pulls(found)
    assert max(map(abs, pulls.values())) < 4, pulls
    assert found["delay"].value == pytest.approx(45e-9, abs=4 * found["delay"].sigma)
    assert not [text for text in found.warnings if "upper limit" not in text]


def deviations(seeds: range) -> dict[str, float]:
    """Root mean square of all pulls.

    The twin draws Re φ from what is assumed about it; the test does not, or the truth would scatter by √2 of that.
    """
    squares, (value, sigma) = [], FANO_REAL
    for seed in seeds:
        measured = Measured.of(straight(fano=[value, 0.1], fano_real_sigma=sigma), seed, points=201, noise=5)
        squares.append({name: pull**2 for name, pull in measured.pulls(measured.fit()).items()})
    return {name: float(np.sqrt(np.mean([each[name] for each in squares]))) for name in squares[0]}


def test_sigma_is_the_scatter_of_repeated_measurements() -> None:
    found = deviations(range(60))
    # 60 repeats know it to 9 %.
    assert all(0.7 < value < 1.3 for value in found.values()), found


@pytest.mark.long
def test_sigma_is_the_scatter_of_many_measurements() -> None:
    found = deviations(range(1000, 2000))
    assert all(0.93 < value < 1.07 for value in found.values()), found


def test_difficult_traces_are_right_or_say_so() -> None:
    found = Counter(verdict(difficult(seed)) for seed in range(60))
    assert not found["wrong"], found
    assert found["right"] >= 12, found


@pytest.mark.long
def test_many_difficult_traces_are_right_or_say_so() -> None:
    found = Counter(verdict(difficult(seed)) for seed in range(10_000, 13_000))
    assert not found["wrong"], found
    assert found["right"] >= 500, found


@pytest.mark.parametrize("ripple", [0.0, 0.02])
def test_fano_term_left_out_moves_the_resonance_and_is_reported(ripple: float) -> None:
    measured = Measured.of(device(cable={"ripple_db": ripple}), 1, span=20e6)
    whole, without = measured.fit(), measured.fit(fano=False)
    assert not whole.warnings
    assert without.noise > 7 * whole.noise
    assert (
        abs(without["resonance_frequency"].value - whole["resonance_frequency"].value)
        > 10 * without["resonance_frequency"].sigma
    )
    assert any("the Fano term was left out" in text for text in without.warnings)
    assert "fano_imag" not in without.names
    assert "left out" in without.assumed["fano_imag"]


def test_fano_term_may_be_left_out_where_there_is_none() -> None:
    measured = Measured.of(straight(fano=[1.0, 0.0]), 2)
    found = measured.fit(fano=False)
    assert not found.warnings
    assert max(map(abs, measured.pulls(found).values())) < 4


@pytest.mark.parametrize("ripple", [0.3, 1.2, 3.0])
def test_rippled_background_is_reported(ripple: float) -> None:
    found = Measured.of(device(cable={"ripple_db": ripple}), 3).fit()
    assert any("the residuals ripple by about" in text for text in found.warnings)


@pytest.mark.parametrize("offset", [-18e6, 19e6])
def test_resonance_at_the_edge_of_the_band(offset: float) -> None:
    measured = Measured.of(straight(), 4, offset=offset)
    found = measured.fit()
    assert max(map(abs, measured.pulls(found).values())) < 4
    assert any("linewidths from the edge of the band" in text for text in found.warnings)


def test_band_of_a_few_linewidths_is_reported() -> None:
    found = Measured.of(straight(), 4, span=7e6).fit()
    assert any("linewidths wide" in text for text in found.warnings)


def test_points_too_far_apart_are_reported() -> None:
    found = Measured.of(straight(damping_line=2e6, damping_excess=1e5), 4, span=80e6, points=201).fit()
    assert any("measure more densely" in text for text in found.warnings)


@pytest.mark.parametrize("offset", [-60e6, 35e6])
def test_resonance_outside_the_band(offset: float) -> None:
    with pytest.raises(FitError, match=r"within the band|outside the band"):
        Measured.of(straight(), 5, offset=offset).fit()


def test_other_phase_convention_is_refused(plain: Measured) -> None:
    with pytest.raises(FitError, match="s11 is complex conjugated"):
        replace(plain, s11=plain.s11.conj()).fit()


def cable(draw: np.random.Generator, extra: np.ndarray | float = 0.0) -> np.ndarray:
    """A cable without a resonance, and noise."""
    noise = 10 ** draw.uniform(-4, -1) * (draw.standard_normal(BAND.size) + 1j * draw.standard_normal(BAND.size))
    return np.asarray(np.exp(-2j * np.pi * BAND * 10 ** draw.uniform(-9, -6.5) + extra) + noise)


@pytest.mark.parametrize("seed", range(20))
def test_no_resonance_is_found_where_there_is_none(seed: int) -> None:
    draw = np.random.default_rng(seed)
    noise = draw.standard_normal(BAND.size) + 1j * draw.standard_normal(BAND.size)
    with pytest.raises(FitError, match="no resonance stands out of the noise"):
        fit_resonance(BAND, noise)
    with pytest.raises(FitError, match="no resonance stands out of the noise"):
        fit_resonance(BAND, cable(draw))
    x = (BAND - BAND.mean()) / np.ptp(BAND)
    wave = 10 ** draw.uniform(-3, -0.7) * np.exp(2j * np.pi * BAND / 10 ** draw.uniform(6.5, 8.5))
    curved = 0.5 * (draw.standard_normal() * x**2 + 1j * draw.standard_normal() * x**2 + draw.standard_normal() * x**3)
    for background in (wave, wave.conj(), curved):
        try:
            found = fit_resonance(BAND, cable(draw, background))
        except FitError:
            continue
        assert found.warnings


def test_start_is_no_prior(plain: Measured, plain_fit: FitResult) -> None:
    near = Measured.of(straight(frequency=4.672e9, damping_line=2.2e7), 7).fit()
    started = plain.fit(start=near)
    for name in plain_fit.names:
        assert started[name].value == pytest.approx(plain_fit[name].value, abs=0.01 * plain_fit[name].sigma)


@pytest.mark.parametrize("seed", range(20))
def test_poor_start_is_no_excuse(seed: int, plain: Measured, plain_fit: FitResult) -> None:
    draw = np.random.default_rng(seed)
    values = dict(zip(plain_fit.names, plain_fit.values, strict=True))
    values["resonance_frequency"] += draw.uniform(-15e6, 15e6)
    values["damping_line"] *= 10 ** draw.uniform(-1, 1)
    values["delay"] += draw.uniform(-2e-8, 2e-8)
    poor = replace(plain_fit, values=np.array([*values.values()]))
    assert verdict(plain, start=poor) != "wrong"


def test_glitches_move_nothing_by_more_than_its_uncertainty(plain: Measured, plain_fit: FitResult) -> None:
    spoilt = plain.s11.copy()
    spoilt[30] *= -50
    spoilt[200] *= 2
    spoilt[320:322] *= 1j
    found = replace(plain, s11=spoilt).fit()
    for name in plain_fit.names:
        assert found[name].value == pytest.approx(plain_fit[name].value, abs=plain_fit[name].sigma), name
    assert any("were left out" in text for text in found.notes)
    assert not found.warnings


def test_order_and_gaps_do_not_matter(plain: Measured, plain_fit: FitResult) -> None:
    spoilt = plain.s11.copy()
    spoilt[[3, 207]] = complex(np.nan, 0), complex(0, np.inf)
    keep = np.isfinite(spoilt)
    shuffled = np.random.default_rng(0).permutation(spoilt.size)
    expected = fit_resonance(plain.frequency[keep], plain.s11[keep])
    found = fit_resonance(plain.frequency[shuffled], spoilt[shuffled])
    np.testing.assert_array_equal(found.values, expected.values)
    for name in plain_fit.names:
        assert found[name].value == pytest.approx(plain_fit[name].value, abs=plain_fit[name].sigma)


@pytest.mark.parametrize("points", [41, 401])
def test_exact_data_give_the_exact_answer(points: int) -> None:
    frequency = 6e9 + np.linspace(-8e6, 12e6, points)
    gamma = reflection_coefficient(2 * np.pi * (frequency - 6e9), 5e6, 3e6, 1 + 0.1j).conj()
    background = 0.2 * np.exp(0.3j + 1e-8 * (frequency - 6.002e9) - 2j * np.pi * 70e-9 * (frequency - 6.002e9))
    found = fit_resonance(frequency, background * gamma)
    expected = {
        "resonance_frequency": 6e9, "damping_line": 5e6, "damping_internal": 3e6, "fano_imag": 0.1,
        "background_amplitude": 0.2, "background_slope": 1e-8, "background_phase": 0.3, "delay": 70e-9,
        "loaded_quality": 2 * np.pi * 6e9 / 8e6,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, rel=1e-6), name


def test_assumed_fano_factor_is_stated_and_carried(plain_fit: FitResult) -> None:
    assert "1.0 ± 0.02" in plain_fit.assumed["fano_real"]
    line, internal = plain_fit["damping_line"], plain_fit["damping_internal"]
    assert line.sigma / line.value == pytest.approx(0.01, rel=0.1)
    assert internal.sigma == pytest.approx(line.sigma, rel=0.1)
    # The sum of both is measured.
    assert plain_fit["loaded_quality"].sigma / plain_fit["loaded_quality"].value < 2e-3


def test_record_keeps_everything(plain_fit: FitResult) -> None:
    assert FitResult.from_record(plain_fit.as_record()).report() == plain_fit.report()


def test_jacobian_equals_finite_differences(plain: Measured) -> None:
    steps = {
        Parameter("resonance_frequency", "Hz", 4.6702e9, 1.0): 1e2,
        Parameter("damping_line", "1/s", 1.7e7, 1.0): 1e2,
        Parameter("damping_internal", "1/s", 3e6, 1.0): 1e2,
        Parameter("fano_imag", "1", 0.08, 1.0): 1e-5,
        Parameter("background_amplitude", "1", 0.02, 1.0): 1e-6,
        Parameter("background_slope", "1/Hz", 1e-9, 1.0): 1e-13,
        Parameter("background_phase", "rad", 0.4, 1.0): 1e-5,
        Parameter("delay", "s", 44e-9, 1.0): 1e-13,
    }
    mask = np.ones(2 * plain.frequency.size, bool)
    model = _Trace(plain.s11, tuple(p.name for p in steps), plain.frequency, PORTS["reflection"], mask=mask)
    assert_jacobian(model, np.array([p.start for p in steps]), np.array([*steps.values()]))


def test_too_few_points(plain: Measured) -> None:
    with pytest.raises(FitError, match="19 usable frequencies are too few; at least 20"):
        fit_resonance(plain.frequency[:19], plain.s11[:19])
    with pytest.raises(FitError, match="0 usable frequencies"):
        fit_resonance(plain.frequency, np.full_like(plain.s11, np.nan))


def test_shapes_have_to_agree(plain: Measured) -> None:
    with pytest.raises(FitError, match=r"s11 has shape \(400,\) and frequency \(401,\)"):
        fit_resonance(plain.frequency, plain.s11[1:])


def test_amplitude_alone_is_not_enough(plain: Measured) -> None:
    with pytest.raises(FitError, match="s11 is real"):
        fit_resonance(plain.frequency, np.abs(plain.s11))
