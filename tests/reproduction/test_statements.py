"""The published statements: what has to agree does, what differs says why, and the docs show what is computed."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.constants import e, h, hbar, k

from labnis.reproduction import FIGURES, Statement, markdown_table
from labnis.reproduction.microwave_source import BAND, ELECTRON_TEMPERATURE, JUNCTION, RESONATOR
from tests.reproduction.conftest import Reproduced

pytestmark = pytest.mark.documentation

ROOT = Path(__file__).resolve().parents[2]
Reproduce = Callable[[str], Reproduced]

# What does not agree with the papers, and is known not to.
DIFFERENT = {
    "conductance": {"Cooler's zero-bias resistance", "The same if R_N = 1.9 kΩ", "Transparency"},
    "temperature": {"Electrons of an aluminium cooler"},
    "isotherms": {"Andreev share", "Change of the current by ideal phonons", "Kapitza coupling KA"},
    "suspended-cooler": {"The same in the Japanese abstract", "What limits"},
    "gain": {"Gain by the published recipe"},
}


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]


@pytest.mark.parametrize("name", FIGURES)
def test_what_differs_is_known_and_everything_else_agrees(name: str, reproduced: Reproduce) -> None:
    differing = [s.what for s in reproduced(name).statements if not s.holds]
    expected = DIFFERENT.get(name, set())
    assert len(differing) == len(expected), differing
    assert all(any(what.startswith(beginning) for beginning in expected) for what in differing), differing


def test_statements_are_complete(reproduced: Reproduce) -> None:
    for s in (statement for name in FIGURES for statement in reproduced(name).statements):
        assert s.source
        assert s.published
        assert "nan" not in s.computed + s.why
        assert s.holds or s.why


def test_a_difference_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match=r"why is empty for 'gain' \(H abstract\)"):
        Statement("H abstract", "gain", "1", "2", holds=False)


def test_the_table_in_the_docs_is_what_is_computed(reproduced: Reproduce) -> None:
    table = markdown_table([s for name in FIGURES for s in reproduced(name).statements])
    assert table in (ROOT / "docs/physics.md").read_text(encoding="utf-8"), (
        "put the output of `labnis reproduce --markdown --out docs/figures` into the last section of docs/physics.md"
    )


def test_the_docs_show_the_figures() -> None:
    text = (ROOT / "docs/physics.md").read_text(encoding="utf-8")
    for name, figure in FIGURES.items():
        assert f"](figures/{name}.png)" in text
        assert figure.caption in text, name
        assert 10_000 < (ROOT / f"docs/figures/{name}.png").stat().st_size < 100_000, name


def test_markdown_cells_cannot_break_the_table() -> None:
    table = markdown_table([Statement("H", "|Γ|", "0", "1", holds=True)])
    assert table.splitlines()[2] == r"| H | \|Γ\| | 0 | 1 | yes |  |"


# Numbers, against what is known without labnis's models.


def test_coherence_length(reproduced: Reproduce) -> None:
    expected = 1e6 * np.sqrt(hbar * 80e-4 / (2 * np.pi * k * 0.09))
    assert numbers(reproduced("conductance")["Coherence length"].computed) == [pytest.approx(expected, abs=5e-4)]
    assert expected == pytest.approx(0.33, abs=0.005)


def test_probe_temperature_comes_back(reproduced: Reproduce) -> None:
    (millikelvin,) = numbers(reproduced("conductance")["Probe's electron temperature"].computed)
    assert millikelvin == pytest.approx(105, abs=2)


def test_transparency_against_the_sharvin_resistance(reproduced: Reproduce) -> None:
    # ρl = 6.6e-16 Ω m² of copper gives the resistance per area of an open contact, (4/3) ρl, by other constants.
    open_contact = 4 / 3 * 6.6e-16 / (1.5e-6 * 0.3e-6)
    (transparency,) = numbers(reproduced("conductance")["Transparency"].computed)
    assert transparency == pytest.approx(open_contact / 1900, rel=0.25)


def test_cooling_efficiency_and_its_scale(reproduced: Reproduce) -> None:
    efficiency, scale = numbers(reproduced("powers")["Efficiency"].computed)
    assert efficiency == pytest.approx(5, abs=0.5)
    assert scale == pytest.approx(100 * k * 0.1 / (e * 215e-6), abs=0.05)


def test_closed_form_of_the_maximum_cooling_power(reproduced: Reproduce) -> None:
    # Anghel & Pekola, JLTP 123, 197, with the superconductor at 0.334 K: 213 pW of 280 µm² at 0.093 K.
    kt, kt_s = k * 0.093 / e, k * 0.334 / e
    power = (200e-6) ** 2 * (0.59 * (kt / 200e-6) ** 1.5 - np.sqrt(2 * np.pi * kt_s / 200e-6) * np.exp(-200e-6 / kt_s))
    barrier = numbers(reproduced("suspended-cooler")["Cooling power 213 pW"].computed)[0]
    assert barrier == pytest.approx(power / 213e-12 * 280, rel=0.08)


def test_suspended_cooler_reaches_the_published_temperature_with_and_without_injection(reproduced: Reproduce) -> None:
    # Two ways to it: the barrier comes from the largest power at a given temperature, this from the heat balance.
    assert numbers(reproduced("suspended-cooler")["Electron temperature"].computed) == [0.093, 0.093]


def test_injection_gives_the_cooling_power_a_maximum(reproduced: Reproduce) -> None:
    c = reproduced("suspended-cooler").curves
    best = int(np.argmax(c.injected))
    assert c.injected[best] == pytest.approx(213e-12, rel=2e-3)
    assert 0 < best < c.barrier.size - 1
    # Far above the best barrier nothing but the barrier counts.
    assert c.injected[-1] == pytest.approx(c.equilibrium[-1], rel=0.05)
    assert (np.diff(c.equilibrium) < 0).all()


def test_high_bias_expressions_meet_the_exact_ones(reproduced: Reproduce) -> None:
    c = reproduced("photon-bath").curves
    assert c.damping_rate[-1] == pytest.approx(c.high_bias_damping_rate[-1], rel=3e-3)
    assert c.photon_number[-1] == pytest.approx(c.high_bias_photon_number[-1], rel=3e-3)
    assert c.power[-1] == pytest.approx(c.high_bias_power[-1], rel=3e-3)


def test_phase_has_a_vortex_at_critical_coupling(reproduced: Reproduce) -> None:
    c = reproduced("reflection").curves
    angle = np.linspace(0, 2 * np.pi, 200)
    around = RESONATOR.reflection(
        c.critical_frequency + 3e5 * np.cos(angle),
        JUNCTION,
        c.critical_voltage + 2e-6 * np.sin(angle),
        ELECTRON_TEMPERATURE,
    )
    assert abs(np.unwrap(np.angle(around))[-1] - np.angle(around)[0]) == pytest.approx(2 * np.pi, rel=1e-6)


def test_gain_of_the_simulated_chain(reproduced: Reproduce) -> None:
    c = reproduced("gain").curves.constant
    assert abs(c.fit["gain"].value - 51.84) < 3 * c.fit["gain"].sigma
    # Tails of a Lorentzian of 63.5e6/2π Hz full width beyond ±70 MHz.
    tails = -10 * np.log10(2 / np.pi * np.arctan(2 * np.pi * 140e6 / 63.5e6))
    assert abs(c.recipe["gain"].value + tails - 51.84) < 3 * c.recipe["gain"].sigma
    assert c.lost == pytest.approx(tails, abs=0.01)
    assert (BAND[1] - BAND[0]) == pytest.approx(140e6)
    width = RESONATOR.damping_line + RESONATOR.damping_excess + RESONATOR.damping_junction
    assert width == pytest.approx(63.5e6)


def test_noise_floor_of_the_simulated_chain(reproduced: Reproduce) -> None:
    measured = reproduced("gain").curves.constant
    assert measured.power[0] == pytest.approx(10**5.184 * k * 8.3 * 140e6, rel=2e-3)
    # Each electron that tunnels at high bias emits into the line what the expansion's slope says, per volt.
    slope = np.polyfit(measured.voltage[-8:], measured.power[-8:], 1)[0] / 10**5.184
    share = e * RESONATOR.damping_line * RESONATOR.damping_junction / 63.5e6 / 2
    assert slope == pytest.approx(share, rel=0.12)
    assert h * 4.67e9 / e == pytest.approx(19.3e-6, rel=1e-2)
