"""The simulated device with the heat balance of its island, through the instruments' side of the World."""

import re
from pathlib import Path

import numpy as np
import pytest

from labnis.physics import AndreevChannel, NISJunction
from sim_instruments import SHIPPED_TRUTH, SimulatedClock, load_truth
from sim_instruments.world import Device, Truth, TruthError, World
from tests.physics import micro_cooler, quadrature

COOLER = load_truth(Path(__file__).parents[2] / "sim_instruments" / "micro_cooler.yaml")
QUIET = {"seed": 1, "current_white": 0.0, "voltage_offset": 0.0, "current_offset": 0.0, "temperature_relative": 0.0}
ALUMINIUM = {"density_of_states": 1.72e28, "volume": 1.8e-20, "recombination": 1e-17, "outflow": 1e7}
FREQUENCY = np.linspace(4.62e9, 4.72e9, 201)


def truth(*, series_resistance: float = 2000.0, **island) -> Truth:
    document = COOLER.model_dump() | {"noise": QUIET, "wiring": {"series_resistance": series_resistance}}
    return Truth.model_validate(document | {"island": document["island"] | island})


def world(level: float, excitation: float = 0.0, **island) -> World:
    """A noiseless World long after its source was set to `level` (V)."""
    world = World(truth(**island), SimulatedClock())
    world.set_excitation(excitation)
    world.set_source(level=level, output=True, current_limit=1e-3)
    world.clock.sleep(1.0)
    return world


@pytest.mark.parametrize("level", [100e-6, 380e-6, 430e-6])
def test_current_is_that_of_electrons_at_the_temperature_the_bias_gives_them(level: float) -> None:
    there = world(level)
    (voltage,) = there.present_state().voltage
    andreev = AndreevChannel(**COOLER.island.andreev.model_dump())
    model = micro_cooler.cooler(andreev=andreev)
    temperature, _ = micro_cooler.steady_state(model, float(voltage), 0.09)
    current = quadrature.current(model.junction, voltage / 2, temperature)
    current += float(andreev.linearised(voltage / 2, temperature, model.junction)[0])
    assert there.source_state(1.0).current == pytest.approx(current, rel=1e-4)
    assert there.present_state().electron_temperature == pytest.approx(temperature, rel=1e-4)
    assert voltage + 2000.0 * there.source_state(1.0).current == pytest.approx(level, rel=1e-9)


def test_bias_first_warms_and_then_cools_the_island() -> None:
    cold, warm, cooled = (float(Device(truth()).state(v).electron_temperature) for v in (0.0, 233e-6, 425e-6))
    assert cold == pytest.approx(0.09, rel=1e-9)
    assert warm > 0.11
    assert cooled < 0.03


def test_lockin_averages_the_self_consistent_current_over_its_excitation() -> None:
    sine, level = 0.2, 400e-6  # 20 µV rms on the line
    phase = 2 * np.pi * (np.arange(200) + 0.5) / 200
    there = world(level, excitation=sine)
    current = there.device_state(level + np.sqrt(2) * sine / 1e4 * np.sin(phase)).current
    expected = np.sqrt(2) * np.mean(current * np.sin(phase))
    assert there.lockin_input(1.0).real / 1e7 == pytest.approx(expected, rel=2e-3)
    slope = float(there.device_state(level).conductance) * 20e-6
    assert there.lockin_input(1.0).real / 1e7 != pytest.approx(slope, rel=0.1), "a derivative would show another value"


def test_device_emits_what_its_warmed_electrons_emit() -> None:
    chain = {"gain_db": 20.0, "noise_temperature": 1e-6}
    there = World(truth().model_copy(update={"chain": COOLER.chain.model_copy(update=chain)}), SimulatedClock())
    there.set_source(level=4e-3, output=True, current_limit=1e-3)
    there.clock.sleep(1.0)
    (voltage,), (temperature,) = there.present_state().voltage, there.present_state().electron_temperature
    assert temperature > 0.5
    spectrum = there.power_spectral_density(FREQUENCY, 1e14)
    junction = NISJunction(215e-6, 1900.0, 1e-5)
    photons = 1 / np.expm1(4.67e9 * 6.62607015e-34 / (1.380649e-23 * 0.09))
    hot, cold = (
        100 * there.device.resonator.emitted_spectrum(FREQUENCY, junction, voltage / 2, t, photons, photons)
        for t in (temperature, 0.09)
    )
    np.testing.assert_allclose(spectrum, hot + 100 * 1.380649e-23 * 1e-6, rtol=1e-5)
    assert np.abs(hot / cold - 1).max() > 1e-3


def test_injection_lowers_the_gap_everywhere_it_is_seen() -> None:
    level = 450e-6
    rigid, soft = (world(level, series_resistance=0.0, superconductor=s) for s in (None, ALUMINIUM))
    (gap,) = soft.present_state().gap
    assert 0.5 * 215e-6 < gap < 0.999 * 215e-6
    assert rigid.present_state().gap == 215e-6
    assert soft.source_state(1.0).current > rigid.source_state(1.0).current
    (voltage,), (temperature,) = soft.present_state().voltage, soft.present_state().electron_temperature
    expected = soft.device.resonator.reflection(FREQUENCY, NISJunction(gap, 1900.0, 1e-5), voltage / 2, temperature)
    seen = soft.reflection(FREQUENCY, 1e-3, 1e-12)
    apart = np.abs(seen) / 10 ** ((51.84 - 88) / 20) - np.abs(expected)
    assert np.abs(apart).max() < 0.2, "cable ripple"


def test_states_that_are_computed_once_are_exact() -> None:
    soft = truth(superconductor=ALUMINIUM | {"outflow": 1e9})
    device = Device(soft)
    found = device.behind(2e3, np.random.default_rng(1).uniform(-6e-4, 6e-4, 20))
    exact = device.state(found.voltage)
    np.testing.assert_allclose(found.current, exact.current, rtol=0, atol=1e-15)
    np.testing.assert_allclose(found.electron_temperature, exact.electron_temperature, rtol=1e-7)
    np.testing.assert_allclose(found.gap, exact.gap, rtol=1e-7)
    assert exact.gap.min() < 0.999 * soft.junction.gap


def test_large_island_keeps_the_temperature_of_the_bath() -> None:
    voltage = np.linspace(-600e-6, 600e-6, 25)
    junction = NISJunction(215e-6, 1900.0, 1e-5)
    state = Device(truth(volume=1e-9, kapitza=None, andreev=None)).state(voltage)
    np.testing.assert_allclose(state.electron_temperature, 0.09, rtol=1e-6)
    np.testing.assert_allclose(state.current, junction.current(voltage / 2, 0.09), rtol=1e-4, atol=1e-18)


def test_device_without_a_steady_state_is_an_error_of_the_truth_file() -> None:
    with pytest.raises(TruthError, match="still heated by"):
        world(0.2, andreev=None).present_state()


@pytest.mark.parametrize(
    ("island", "wanted"),
    [
        ({"temperature": 0.1}, "remove either"),
        ({"volume": None}, "volume and electron_phonon"),
        ({"electron_phonon": None}, "volume and electron_phonon"),
    ],
)
def test_island_is_either_of_constant_temperature_or_balanced(island: dict[str, float], wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        truth(**island)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("mixing_chamber_temperature", "1.0e+300", "less than or equal to 500"),
        ("mixing_chamber_temperature", "0.0", "greater than 0"),
        ("gain_db", "1.0e+300", "less than or equal to 300"),
        ("loss_db", "-.inf", "finite"),
        ("gap", "215.0", "from 1e-5 to 1e-2 eV"),
    ],
)
def test_a_truth_that_makes_no_sense_is_refused_by_line_and_key(
    tmp_path: Path, key: str, value: str, allowed: str
) -> None:
    text = re.sub(rf"{key}: \S+", f"{key}: {value}", SHIPPED_TRUTH.read_text(encoding="utf-8"))
    (tmp_path / "truth.yaml").write_text(text, encoding="utf-8")
    line = text[: text.index(key)].count("\n") + 1
    with pytest.raises(TruthError, match=rf"truth\.yaml, line {line}: \w+\.{key}: .*{allowed}"):
        load_truth(tmp_path / "truth.yaml")


@pytest.mark.parametrize(("text", "message"), [("[" * 800, "recursion"), ("# " * 60_000, "larger than 100 kB")])
def test_a_truth_file_too_large_or_too_deeply_nested_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "truth.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(TruthError, match=message):
        load_truth(tmp_path / "truth.yaml")


@pytest.mark.parametrize(("key", "misspelt"), [("junction", "junktion"), ("gap", "gab"), ("frequency", "frequenzy")])
def test_a_misspelt_key_of_a_truth_file_is_told_as_unknown(tmp_path: Path, key: str, misspelt: str) -> None:
    text = re.sub(rf"\b{key}:", f"{misspelt}:", SHIPPED_TRUTH.read_text(encoding="utf-8"), count=1)
    (tmp_path / "truth.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(TruthError, match=rf"{misspelt}: unknown key; allowed are .*\b{key}\b"):
        load_truth(tmp_path / "truth.yaml")


def test_a_missing_key_of_a_truth_file_is_told(tmp_path: Path) -> None:
    text = re.sub(r"\n  gain_db: \S+", "", SHIPPED_TRUTH.read_text(encoding="utf-8"))
    (tmp_path / "truth.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(TruthError, match=r"chain\.gain_db: missing"):
        load_truth(tmp_path / "truth.yaml")
