"""Gain of an amplifier chain from the power that a biased junction emits (H fig. 3), on the simulated fridge.

The simulated fridge measures I–V curve, reflection and spectra with its own noise; the published recipe and labnis's
fit evaluate the same data, and neither uses the truth.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from labnis.fit import (
    HIGH_BIAS,
    EmissionData,
    Estimate,
    ReflectionData,
    emission_model,
    fit_current_voltage,
    fit_emitted_power,
    fit_high_bias,
    fit_reflection,
    gain_uncertainty,
)
from labnis.physics import PowerExpansion, SINISCooler
from labnis.reproduction.drawing import DATA, FIT, mark_simulated, panels
from labnis.reproduction.microwave_source import (
    BAND,
    BASE_TEMPERATURE,
    ELECTRON_TEMPERATURE,
    FREQUENCY,
    GAIN,
    GAIN_SIGMA,
    JUNCTION,
    NOISE_TEMPERATURE,
    PAPER,
    RESONATOR,
)
from labnis.reproduction.published import Claim, PublishedFigure, Statement
from sim_instruments import SimulatedClock, Truth
from sim_instruments.world import World

__all__ = ["GainCalibrations"]

Real = NDArray[np.float64]

SEED = 2019
SERIES_RESISTANCE = 2000.0  # ohm
# Copper, for the island that heats itself (m³, W m⁻³ K⁻⁵); the paper prints neither.
ISLAND_VOLUME, ELECTRON_PHONON = 1e-18, 2e9
_LARGEST_BIAS = 5e-3  # V across the device
# Biases of I–V curve, reflection and spectra.
_POINTS = (61, 21, 31)
# Radiometer samples in one point of a spectrum; noise bandwidth (Hz) and power (W) of one point of reflection.
_SAMPLES, _BANDWIDTH, _PROBE_POWER = 2e4, 100.0, 1e-6
_PUBLISHED = Estimate(GAIN, GAIN_SIGMA, "dB")


def _simulated_device(*, heated: bool) -> Truth:
    """The device of `microwave_source` behind the paper's chain, as the simulated fridge wants it."""
    balance = {"volume": ISLAND_VOLUME, "electron_phonon": ELECTRON_PHONON}
    return Truth.model_validate(
        {
            "junction": {"gap": JUNCTION.gap, "resistance": JUNCTION.resistance, "dynes": JUNCTION.dynes},
            "island": balance if heated else {"temperature": ELECTRON_TEMPERATURE},
            "resonator": {
                "frequency": FREQUENCY,
                "damping_line": RESONATOR.damping_line,
                "damping_excess": RESONATOR.damping_excess,
                "damping_junction": RESONATOR.damping_junction,
                "fano": (RESONATOR.fano.real, RESONATOR.fano.imag),
            },
            "chain": {"gain_db": GAIN, "noise_temperature": NOISE_TEMPERATURE},
            "cable": {"delay": 45e-9, "loss_db": 88.0, "ripple_db": 1.2},
            "fridge": {"mixing_chamber_temperature": BASE_TEMPERATURE},
            "noise": {"seed": SEED, "current_white": 2e-13, "voltage_offset": 0.8e-6, "current_offset": 1.5e-12},
            "wiring": {"series_resistance": SERIES_RESISTANCE},
        }
    )


def _sweep(world: World, biases: Real, measure: Callable[[], NDArray[Any]]) -> tuple[Real, Real, NDArray[Any]]:
    """Device voltage (V) and current (A) as read, and what `measure` returns, at every bias."""
    states, measured = [], []
    for bias in biases:
        world.set_source(level=float(bias), output=True, current_limit=1e-4)
        world.clock.sleep(0.05)
        states.append(world.source_state(0.02))
        measured.append(measure())
    current = np.array([state.current for state in states])
    voltage = np.array([state.voltage for state in states]) - SERIES_RESISTANCE * current
    return voltage, current, np.array(measured)


class Calibration:
    """One simulated calibration, evaluated three times.

    Attributes
    ----------
    voltage, power
        Across one junction (V), and in the band (W), shape (n,).
    rates
        Reflection fit.
    recipe, corrected
        By the published recipe, and corrected for the tails of the line that the band cuts off.
    largest_share
        What most of the recipe's uncertainty comes from.
    fit
        By labnis's fit of all spectra.
    fitted_power
        What that fit says of `power` (W).

    """

    def __init__(self, *, heated: bool) -> None:
        world = World(_simulated_device(heated=heated), SimulatedClock())
        voltage, current, _ = _sweep(world, np.linspace(-1.2e-3, 1.2e-3, _POINTS[0]), lambda: np.zeros(0))
        junction = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE)
        frequency = FREQUENCY + np.linspace(-50e6, 50e6, 201)
        voltage, _, s11 = _sweep(
            world, np.linspace(0, 2.4e-3, _POINTS[1]), lambda: world.reflection(frequency, _PROBE_POWER, _BANDWIDTH)
        )
        traces = ReflectionData(voltage, frequency, s11)
        self.rates = rates = fit_reflection(traces, prior=junction)
        frequency = np.linspace(*BAND, 301)
        voltage, _, spectra = _sweep(
            world, np.linspace(0, _LARGEST_BIAS, _POINTS[2]), lambda: world.power_spectral_density(frequency, _SAMPLES)
        )
        emission = EmissionData(voltage, frequency, spectra, BASE_TEMPERATURE)
        self.voltage, self.power = voltage / 2, np.trapezoid(spectra, frequency, axis=-1)
        self.recipe = fit_high_bias(emission, prior=rates, traces=traces, whole_line=False)
        self.corrected = fit_high_bias(emission, prior=rates, traces=traces)
        shares = gain_uncertainty(self.recipe, emission, prior=rates, traces=traces, whole_line=False)
        self.largest_share = next(iter(shares))
        self.fit = fit_emitted_power(emission, prior=rates)
        self.fitted_power = np.trapezoid(emission_model(self.fit, emission), frequency, axis=-1)

    @property
    def lost(self) -> float:
        """What the band cuts off at high bias (dB)."""
        return self.corrected["gain"].value - self.recipe["gain"].value


def _hottest() -> float:
    """Temperature (K) of the electrons of the self-heating island at the largest bias."""
    cooler = SINISCooler(JUNCTION, ISLAND_VOLUME, ELECTRON_PHONON, None)
    return float(cooler.operating_point(_LARGEST_BIAS, BASE_TEMPERATURE).electron_temperature)


def _text(gain: Estimate) -> str:
    return f"{gain.value:.2f} ± {gain.sigma:.2f} dB"


class GainCalibrations(PublishedFigure):
    """Of one device, with electrons of constant temperature, and with an island that the bias cools and heats."""

    caption = (
        "Output power of the chain against bias, measured on the simulated fridge (not on the paper's), with the "
        "published high-bias fit and with labnis's fit of all spectra; right, what each leaves."
    )

    def __init__(self) -> None:
        self.constant, self.heated = Calibration(heated=False), Calibration(heated=True)

    def draw(self) -> Figure:
        c = self.constant
        figure, (whole, rest) = panels(
            f"Gain of a chain, after {PAPER}, fig. 3", "simulated fridge", "what is left", width=4.8
        )
        millivolt, power = c.voltage * 1e3, c.power
        high = c.voltage > HIGH_BIAS * c.rates["gap"].value
        expansion = PowerExpansion(*(c.recipe[name].value for name in ("slope", "constant", "inverse")))
        expected = expansion(c.voltage[high])
        whole.plot(millivolt, power * 1e9, ".", ms=4, color="0.4", label="power in the band")
        whole.plot(
            millivolt[high], expected * 1e9, color=FIT, lw=1.2,
            label=f"a₁V + a₀ + a₋₁/V: {_text(c.recipe['gain'])}",
        )  # fmt: skip
        whole.plot(
            millivolt, c.fitted_power * 1e9, "--", color=DATA, lw=1.2, label=f"all spectra: {_text(c.fit['gain'])}"
        )
        whole.set(xlabel="voltage across one junction (mV)", ylabel="output power (nW)")
        whole.legend(
            frameon=False,
            fontsize=7,
            loc="upper left",
            title=f"published: {_text(_PUBLISHED)}",
            title_fontsize=7,
            alignment="left",
        )
        rest.plot(millivolt[high], (power[high] / expected - 1) * 100, ".", color=FIT, ms=5, label="a₁V + a₀ + a₋₁/V")
        rest.plot(millivolt, (power / c.fitted_power - 1) * 100, "+", color=DATA, ms=5, label="all spectra")
        rest.axhline(0, color="k", lw=0.6)
        rest.set(xlabel="voltage across one junction (mV)", ylabel="measured − fitted (% of the power)")
        rest.legend(frameon=False, fontsize=7)
        for axis in (whole, rest):
            mark_simulated(axis)
        return figure

    def statements(self) -> Iterator[Statement]:
        c, heated = self.constant, self.heated
        recipe, corrected, gain = c.recipe["gain"], c.corrected["gain"], c.fit["gain"]
        frequency = c.rates["resonance_frequency"]
        heated_recipe, heated_gain = heated.corrected["gain"], heated.fit["gain"]
        yield Claim(
            "H abstract", "Gain by the published recipe (eqs. 8, 9), SIMULATED chain of 51.84 dB", _text(_PUBLISHED)
        ).beside(
            _text(recipe),
            abs(recipe.value - GAIN) < GAIN_SIGMA,
            f"the band ends cut off the Lorentzian's tails, {c.lost:.2f} dB at these rates (not the paper's), which "
            "eq. 7, a total power, does not know",
        )
        yield Claim("H abstract", "The same, corrected for the tails", _text(_PUBLISHED)).beside(
            _text(corrected),
            abs(corrected.value - GAIN) < GAIN_SIGMA,
            f"of the recipe's uncertainty the largest part is {c.largest_share}: the truncation error is small up to "
            f"{_LARGEST_BIAS / 2 * 1e3:.1f} mV per junction",
        )
        yield Claim("H abstract", "Gain by labnis's fit of all spectra, same data", _text(_PUBLISHED)).beside(
            _text(gain),
            abs(gain.value - GAIN) < GAIN_SIGMA,
            "knows the band, all biases and the covariance of the rates; its uncertainty is mostly the assumed real "
            "part of the Fano factor, which the recipe's error circles cannot see",
        )
        yield Claim(
            "H abstract", "The same two with an island that heats itself, SIMULATED, too", _text(_PUBLISHED)
        ).beside(
            f"{_text(heated_recipe)} (recipe), {_text(heated_gain)} (fit)",
            max(abs(heated_recipe.value - GAIN), abs(heated_gain.value - GAIN)) < GAIN_SIGMA,
            f"electrons from {BASE_TEMPERATURE * 1e3:.0f} mK to {_hottest() * 1e3:.0f} mK at "
            f"{_LARGEST_BIAS * 1e3:.0f} mV ({ISLAND_VOLUME * 1e18:.0f} µm³ of copper, assumed): the slope at high "
            "bias does not depend on them, but all fits of the rates take one temperature for all biases, which the "
            "recipe's scatter of γ_x shows",
        )
        yield Claim(
            "H abstract", "1σ of the gain by the published recipe", f"of the order of {GAIN_SIGMA:.2f} dB"
        ).beside(
            f"{recipe.sigma:.2f} dB",
            0.3 < recipe.sigma / GAIN_SIGMA < 3,
            "depends on the noise and the rates of the experiment, which are not the paper's",
        )
        yield Claim("H text", "Resonance frequency, in the band from 4.6 GHz", "4.67 GHz").beside(
            f"{frequency.value / 1e9:.6f} ± {frequency.sigma / 1e9:.6f} GHz",
            BAND[0] < frequency.value < BAND[1],
            "simulated at 4.67 GHz, and found again",
        )
