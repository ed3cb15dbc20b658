"""A twin whose instruments and wiring err as the station states: what is drawn, and what it does to readings."""

import numpy as np
import pytest

from labnis.accuracy import Source
from sim_instruments import SHIPPED_TRUTH, SimulatedClock, Truth, load_truth
from sim_instruments.world import World
from sim_instruments.world.instrument_errors import InstrumentErrors

FREQUENCY = np.linspace(4.62e9, 4.72e9, 101)


def source(acts_on: str, standard: float, uid: str = "", **ranges: float) -> Source:
    return Source(uid or acts_on, acts_on, "1", standard, "normal", "a test", acts_on, **ranges)


def truth(**changes: object) -> Truth:
    return Truth.model_validate(load_truth(SHIPPED_TRUTH).model_dump() | {"instrument_errors": "stated"} | changes)


def erring(*stated: Source, seed: int = 3, level: float = 1e-3, of: Truth | None = None) -> World:
    world = World(of or truth(), SimulatedClock())
    world.stated = stated
    world.reset(seed)
    world.set_source(level=level, output=True, current_limit=1e-4)
    world.clock.sleep(1.0)
    return world


def test_a_draw_depends_on_seed_and_source_alone() -> None:
    one, other = source("voltage.gain", 1e-3), source("current.gain", 1e-3)
    alone, together = InstrumentErrors([one], 5).by_uid, InstrumentErrors([other, one], 5).by_uid
    assert alone["voltage.gain"] == together["voltage.gain"]
    assert InstrumentErrors([one], 6).by_uid != alone
    drifts = [InstrumentErrors([source("vna.phase_drift", 1.0, f"vna/drift@{run}")], 5).by_uid for run in ("a", "b")]
    assert {*drifts[0].values()} == {*drifts[1].values()}


@pytest.mark.parametrize(("distribution", "largest"), [("normal", np.inf), ("rectangular", 3**0.5)])
def test_draws_have_the_stated_uncertainty(distribution: str, largest: float) -> None:
    drawn = []
    for number in range(2000):
        one = Source(str(number), "a", "1", 2.0, distribution, "a test", "divider")  # type: ignore[arg-type]
        drawn.append(InstrumentErrors([one], 1).by_uid[str(number)] / 2.0)
    assert np.std(drawn) == pytest.approx(1, abs=0.05)
    assert np.abs(drawn).max() <= largest


def test_instruments_may_be_normal_and_independent_of_the_noise() -> None:
    limit = Source("limit", "current.offset", "A", 1e-9, "rectangular", "a test", "current.offset")
    drawn = np.array(
        [erring(limit, seed=s, of=truth(instrument_errors="normal")).errors.by_uid["limit"] for s in range(200)]
    )
    assert np.abs(drawn).max() > 3**0.5 * 1e-9
    same = [erring(limit, seed=s, of=truth(instrument_seed=7)) for s in (1, 2)]
    assert same[0].errors.by_uid == same[1].errors.by_uid
    assert same[0].source_state(1.0).current != same[1].source_state(1.0).current


def test_a_truth_that_wants_none_has_none() -> None:
    world = erring(source("voltage.gain", 0.1), of=truth(instrument_errors="none"))
    assert world.source_state(1.0).voltage == 1e-3
    assert not world.errors.by_uid


def test_readings_of_the_source_meter_err_by_the_range_in_use() -> None:
    small = source("voltage.gain", 1e-2, "small", largest=0.02)
    large = source("voltage.gain", 1e-2, "large", above=0.02, largest=0.2)
    world = erring(small, large, source("voltage.offset", 1e-4))
    offset = world.errors.by_uid["voltage.offset"]
    for measuring_range, uid in ((0.02, "small"), (0.2, "large")):
        reading = world.source_state(1.0, measuring_range, 1e-6).voltage
        assert reading == pytest.approx(1e-3 * (1 + world.errors.by_uid[uid]) + offset, rel=1e-9)
    current = erring(source("current.gain", 1e-2))
    quiet = erring()
    ratio = current.source_state(1e4).current / quiet.source_state(1e4).current
    assert ratio == pytest.approx(1 + current.errors.by_uid["current.gain"], rel=1e-5)


def test_the_true_series_resistance_is_the_stated_one_less_its_error() -> None:
    world = erring(source("series_resistance", 20.0), source("divider", 1e-2))
    assert world.series_resistance == 2000.0 - world.errors.by_uid["series_resistance"]
    assert world.divider == pytest.approx(1 / (1 + world.errors.by_uid["divider"]))
    own = erring(source("series_resistance", 20.0), of=truth(wiring={"series_resistance": 2500.0}))
    assert own.series_resistance == 2500.0


def test_analyzers_err_in_amplitude_linearity_and_frequency() -> None:
    quiet = erring().power_spectral_density(FREQUENCY, 1e12)
    louder = erring(source("analyzer.amplitude", 0.5))
    ratio = louder.power_spectral_density(FREQUENCY, 1e12) / quiet
    assert 10 * np.log10(ratio) == pytest.approx(louder.errors.by_uid["analyzer.amplitude"], abs=1e-4)
    bent = erring(source("analyzer.linearity", 0.02))
    contrast = np.ptp(np.log(bent.power_spectral_density(FREQUENCY, 1e12))) / np.ptp(np.log(quiet))
    assert contrast == pytest.approx(1 + bent.errors.by_uid["analyzer.linearity"], abs=1e-4)
    moved = erring(source("frequency", 1e-3))
    shown = FREQUENCY[np.argmax(moved.power_spectral_density(FREQUENCY, 1e12))]
    expected = FREQUENCY[np.argmax(quiet)] * (1 + moved.errors.by_uid["frequency"])
    assert shown == pytest.approx(expected, abs=2e6)


def test_the_zero_of_the_current_drifts_linearly() -> None:
    world = erring(source("current.drift", 1e-9))
    world.set_source(level=0.0, output=True, current_limit=1e-4)
    world.clock.sleep(1.0)
    first = world.source_state(1.0).current
    world.clock.sleep(1800.0)
    moved = world.source_state(1.0).current - first
    assert moved == pytest.approx(0.5 * world.errors.by_uid["current.drift"], rel=0.05)


def test_the_network_analyzer_drifts_linearly() -> None:
    world = erring(source("vna.magnitude_drift", 1.0), source("vna.phase_drift", 10.0))
    started = world.clock.time() - 1.0
    first = world.reflection(FREQUENCY, 1.0, 1.0)
    world.clock.sleep(1799.0)
    factor = np.mean(world.reflection(FREQUENCY, 1.0, 1.0) / first)
    hours = (world.clock.time() - started - 1.0) / 3600
    assert 20 * np.log10(abs(factor)) == pytest.approx(hours * world.errors.by_uid["vna.magnitude_drift"], rel=1e-3)
    assert np.angle(factor, deg=True) == pytest.approx(hours * world.errors.by_uid["vna.phase_drift"], rel=1e-3)


def test_the_gain_of_the_chain_drifts_where_the_truth_says_so() -> None:
    document = load_truth(SHIPPED_TRUTH).model_dump()
    document["chain"] |= {"gain_drift": 0.5}
    world = erring(source("analyzer.gain_drift", 0.1), of=Truth.model_validate(document))
    spectra, traces = [], []
    for wait in (0.0, 3600.0):
        world.clock.sleep(wait)
        spectra.append(world.power_spectral_density(FREQUENCY, 1e12))
        traces.append(world.reflection(FREQUENCY, 1.0, 1.0))
    drift = 0.5 + world.errors.by_uid["analyzer.gain_drift"]
    assert 10 * np.log10(spectra[1] / spectra[0]) == pytest.approx(drift, abs=1e-4)
    assert 20 * np.log10(abs(np.mean(traces[1] / traces[0]))) == pytest.approx(0.5, rel=1e-3)


def test_the_linearity_is_right_at_the_noise_of_the_chain() -> None:
    """The same level in every spectrum, however much the device emits."""
    stated = source("analyzer.linearity", 0.02)
    error = erring(stated).errors.by_uid["analyzer.linearity"]
    noise = np.median(erring(level=0.0).power_spectral_density(FREQUENCY, 1e14))
    for level in (0.0, 4e-3):
        right, wrong = (erring(*s, level=level).power_spectral_density(FREQUENCY, 1e14) for s in ((), (stated,)))
        assert wrong / right == pytest.approx((right / noise) ** error, rel=1e-6)


def test_the_real_part_of_the_fano_factor_may_be_drawn() -> None:
    document = load_truth(SHIPPED_TRUTH).model_dump()
    document["resonator"] |= {"fano": (1.0, 0.1), "fano_real_sigma": 0.02}
    drawn = [Truth.model_validate(document).drawn(seed).resonator.fano for seed in range(200)]
    real, imaginary = np.array(drawn).T
    assert np.mean(real) == pytest.approx(1, abs=0.005)
    assert np.std(real) == pytest.approx(0.02, rel=0.2)
    assert {*imaginary} == {0.1}


def test_a_device_of_instruments_with_a_seed_of_their_own_stays_the_same() -> None:
    document = load_truth(SHIPPED_TRUTH).model_dump()
    document["resonator"] |= {"fano": (1.0, 0.1), "fano_real_sigma": 0.02}
    fixed, drawn = (
        World(Truth.model_validate(document | more), SimulatedClock()) for more in ({"instrument_seed": 7}, {})
    )
    found = []
    for world in (fixed, drawn):
        for seed in (1, 2):
            world.reset(seed)
            found.append((world.device.resonator.fano.real, world.drawn))
    assert found[0] == found[1]
    assert found[2][0] != found[3][0] and found[2][1] != found[3][1]


@pytest.mark.parametrize(
    ("duration", "frequency", "left"),
    # One cycle of a 50 Hz mains, two, and a sample of an auxiliary input; of a sine |sinc(cycles)| is left.
    [(0.02, 77.7, 0.202), (0.02, 75.0, 0.212), (0.04, 75.0, 0.0), (1 / 6e3, 75.0, 1.0)],
)
def test_the_current_keeps_what_is_left_of_an_excitation_over_parts_of_a_cycle(
    duration: float, frequency: float, left: float
) -> None:
    """Against a mean over the waveform itself, which the lock-in's reference drives from the start of time."""
    world = erring(level=0.45e-3)
    world.set_excitation(0.5, frequency)
    state = world.present_state()
    amplitude = float(np.ptp(state.current)) / 2
    readings = []
    for _ in range(40):
        world.clock.sleep(0.0137)
        readings.append(world.source_state(duration).current)
    spread = float(np.std(readings))
    noise = 2e-13 / np.sqrt(2 * duration)
    # At phases that change from reading to reading.
    assert spread == pytest.approx(np.hypot(left * amplitude / np.sqrt(2), noise), rel=0.25 if left else 0.5)
