"""Truth files other than the shipped one: the ranges over which a calibration must be right."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from scipy.constants import e

from labnis.physics import NoOperatingPointError
from sim_instruments import SHIPPED_TRUTH, Truth
from sim_instruments.world.device import Device
from tests.isothermal_device import ISOTHERMAL_TEXT

__all__ = ["EXTREMES", "extreme_truth", "heated_truth", "isothermal_truth", "random_truth", "shipped_truth"]

# Gap of aluminium (eV); resistance (ohm) of the shipped station's line, and the largest biases (V) of the procedures.
GAP, LINE, BIASES = 205e-6, 2e3, (1.2e-3, 2.4e-3, 5e-3)
RATES = ("damping_line", "damping_excess", "damping_junction")

#: Name → what differs from the shipped truth; a rate is given as a factor.
EXTREMES: dict[str, dict[str, dict[str, Any]]] = {
    "no cross-talk": {"resonator": {"fano": [1.0, 0.0], "fano_real_sigma": 0.0}},
    "strong cross-talk": {"resonator": {"fano": [0.95, 0.1], "fano_real_sigma": 0.0}},
    "cold and transparent": {"island": {"temperature": 0.05}, "junction": {"resistance": 3e3}},
    "never critically coupled": {"resonator": {"damping_line": 3.0, "damping_junction": 1 / 3}},
    "lossy": {"resonator": {"damping_excess": 3.0}},
    "low gain": {"chain": {"gain_db": 35.0}},
}


def shipped_truth() -> dict[str, Any]:
    """The shipped truth as plain data."""
    return _plain(SHIPPED_TRUTH)


def isothermal_truth() -> dict[str, Any]:
    """That of the shipped device at one temperature, as plain data."""
    return _plain(ISOTHERMAL_TEXT)


def random_truth(number: int) -> dict[str, Any]:
    """The `number`-th device: everything a calibration reports drawn over the range of real devices."""
    draw = np.random.default_rng([2024, number])
    truth = isothermal_truth()
    truth["chain"]["gain_db"] = float(draw.uniform(35, 75))
    truth["junction"]["gap"] = float(draw.uniform(180e-6, 230e-6))
    truth["junction"]["resistance"] = float(np.exp(draw.uniform(np.log(3e3), np.log(50e3))))
    truth["island"]["temperature"] = float(draw.uniform(0.05, 0.25))
    for rate in RATES:
        truth["resonator"][rate] *= float(3 ** draw.uniform(-1, 1))
    # Weak cross-talk: the twin draws the real part by seed, from the 1.00 ± 0.02 that the fit assumes.
    truth["resonator"]["fano"] = [1.0, float(draw.uniform(-0.15, 0.15))]
    return truth


def heated_truth(number: int) -> dict[str, Any]:
    """The `number`-th device whose island heats and cools itself: a small or a large one, with every kind of heat."""
    draw = np.random.default_rng([2026, number])
    truth = random_truth(number)
    # So that 68 % of their errors are within one standard uncertainty.
    truth["instrument_errors"] = "normal"
    truth["fridge"]["mixing_chamber_temperature"] = float(np.exp(draw.uniform(np.log(0.010), np.log(0.300))))
    while True:
        truth["island"] = _island(draw, truth["junction"]["resistance"])
        with suppress(NoOperatingPointError):
            Device(Truth.model_validate(truth)).behind(LINE, BIASES)
            return truth


def _island(draw: np.random.Generator, resistance: float) -> dict[str, Any]:
    """An island between two junctions of this resistance (ohm)."""
    island: dict[str, Any] = {
        "volume": float(np.exp(draw.uniform(np.log(0.02e-18), np.log(2e-18)))),
        "electron_phonon": 2.0e9,
    }
    if draw.random() < 0.5:
        # That of an island as wide as the one of the shipped cooler.
        island["kapitza"] = float(144e-12 * island["volume"] / 6e-20 * np.exp(draw.uniform(-1, 1)))
    if draw.random() < 0.5:
        andreev = _plain(SHIPPED_TRUTH.with_name("micro_cooler.yaml"))["island"]["andreev"]
        # The Andreev current falls as the square of the conductance of the junctions.
        island["andreev"] = andreev | {"scale": float(andreev["scale"] * np.exp(draw.uniform(-1, 1)))}
    if draw.random() < 0.5:
        island["leakage_resistance"] = float(np.exp(draw.uniform(np.log(3e6), np.log(1e9))))
    if draw.random() < 0.5:
        # Quasiparticles that leave so fast that this part of the gap is lost at 1 mV.
        lost, density, volume = np.exp(draw.uniform(np.log(2e-4), np.log(2e-2))), 1.72e28, 1.8e-20
        outflow = 1e-3 / (2 * resistance) / (2 * e * density * GAP * volume * lost)
        island["superconductor"] = {
            "density_of_states": density,
            "volume": volume,
            "recombination": 1e-17,
            "outflow": float(outflow),
        }
    return island


def _plain(truth: Path | str) -> dict[str, Any]:
    """The plain data of a file, or of its text."""
    plain: dict[str, Any] = YAML(typ="safe", pure=True).load(truth)
    return plain


def extreme_truth(name: str) -> dict[str, Any]:
    """One of `EXTREMES`."""
    truth = isothermal_truth()
    for section, values in EXTREMES[name].items():
        for key, value in values.items():
            truth[section][key] = truth[section][key] * value if key in RATES else value
    return truth
