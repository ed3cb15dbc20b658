"""The uncertainties of the fits are the Cramér–Rao bounds of the twin's own physics and noise.

The information is that of finite differences of what the twin measures, with the same noise on both sides of each
difference; the noise is the scatter between seeds. Nothing here knows the fits' models. Assumed with their
uncertainties are, as in the fits, the real part of the Fano factor, and the photons of line and excess losses.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from labnis.fit import FANO_REAL, FitResult, fit_current_voltage, fit_emitted_power, fit_reflection
from labnis.physics import thermal_photon_number
from sim_instruments import Truth
from tests.fit.measuring import SERIES_RESISTANCE, current_voltage, emission, reflection
from tests.long.truths import isothermal_truth, random_truth

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

Real = NDArray[np.float64]

SEED = 11
JUNCTION = {
    "gap": ("junction", "gap"),
    "electron_temperature": ("island", "temperature"),
    "dynes": ("junction", "dynes"),
    "voltage_offset": ("noise", "voltage_offset"),
}
CURVE = JUNCTION | {"normal_resistance": ("junction", "resistance"), "current_offset": ("noise", "current_offset")}
RATES = {
    "damping_line": ("resonator", "damping_line"),
    "damping_excess": ("resonator", "damping_excess"),
    "damping_junction": ("resonator", "damping_junction"),
    "resonance_frequency": ("resonator", "frequency"),
}
POWER = ("gain", "line_photons", "excess_photons")
FANO = {"fano_real": ("resonator", "fano", 0), "fano_imag": ("resonator", "fano", 1)}
# Standard uncertainties of the photons of line and excess losses before the data: see docs/calibration.md.
PHOTONS = {"line_photons": 2.0, "excess_photons": 5.0}
WARM = 1.0  # K
STEPS = {"voltage_offset": 1e-8, "current_offset": 1e-13, "resonance_frequency": 1e3, "gain": 1e-3, "fano_imag": 1e-4}


def moved(document: dict[str, Any], place: tuple[Any, ...], by: float) -> Truth:
    """The truth with one value changed."""
    section, key, *part = place
    value = document[section].get(key, 0.0)
    value = [v + by * (i == part[0]) for i, v in enumerate(value)] if part else value + by
    return Truth.model_validate(document | {section: document[section] | {key: value}})


def slopes(document: dict[str, Any], places: dict[str, tuple[Any, ...]], data: Callable[[Truth], Any]) -> Any:
    """∂(data)/∂(parameter), parameters last."""
    columns = []
    for name, place in places.items():
        section, key, *part = place
        step = STEPS.get(name) or 1e-4 * (document[section][key][part[0]] if part else document[section][key])
        up, down = data(moved(document, place, step)), data(moved(document, place, -step))
        columns.append((up - down) / (2 * step))
    return np.stack(columns, axis=-1)


def photon_slopes(document: dict[str, Any], data: Callable[[Truth], Any]) -> Any:
    """∂(data)/∂(photons) of line and excess losses, in this order and last; the data are linear in both."""
    truth = Truth.model_validate(document)
    cold = float(thermal_photon_number(truth.resonator.frequency, truth.fridge.mixing_chamber_temperature))
    warm = float(thermal_photon_number(truth.resonator.frequency, WARM))
    changed = (({"line_photons": 1.0}, 1.0), ({"excess_temperature": WARM}, warm - cold))
    columns = []
    for keys, photons in changed:
        other = Truth.model_validate(document | {"resonator": document["resonator"] | keys})
        columns.append((data(other) - data(truth)) / photons)
    return np.stack(columns, axis=-1)


def information(slope: Any, background: Any, noise: Any) -> Real:
    """Fisher information of data (biases, frequencies) whose `background` is one unknown number per frequency."""
    slope, background = slope / noise[..., None], background / noise
    power = (np.abs(background) ** 2).sum(axis=0)
    common = (background.conj()[..., None] * slope).sum(axis=0) / np.where(power > 0, power, 1)[:, None]
    left = (slope - background[..., None] * common).reshape(-1, slope.shape[-1])
    return np.asarray((left.conj().T @ left).real)


def inverse(matrix: Real) -> Real:
    scale = np.sqrt(np.diag(matrix))
    return np.asarray(np.linalg.inv(matrix / np.outer(scale, scale)) / np.outer(scale, scale))


def embedded(covariance: Real, names: list[str], into: list[str]) -> Real:
    """Information of a prior on some of the parameters."""
    whole = np.zeros((len(into), len(into)))
    index = [into.index(name) for name in names]
    whole[np.ix_(index, index)] = inverse(covariance)
    return whole


def bounds(document: dict[str, Any]) -> dict[str, float]:
    """Result → Cramér–Rao bound of σ, each step with the covariance of the one before."""
    truth = Truth.model_validate(document)

    def current(one: Truth) -> Any:
        return current_voltage(one, SEED)[1][:, None]

    noise = np.std([current(truth) - current_voltage(truth, SEED + n)[1][:, None] for n in range(1, 9)]) / np.sqrt(2)
    slope = slopes(document, CURVE, current)
    covariance = inverse(information(slope, np.zeros(slope.shape[:2]), np.full(slope.shape[:2], noise)))
    found = dict(zip(CURVE, np.sqrt(np.diag(covariance)), strict=True))
    # The offset that the later fits know is that of bias less current reading times resistance.
    sees = np.eye(len(CURVE))[: len(JUNCTION)]
    sees[-1, -1] = SERIES_RESISTANCE
    junction = sees @ covariance @ sees.T

    def traces(one: Truth) -> Any:
        return reflection(one, SEED).s11

    noise = np.std(traces(truth) - reflection(truth, SEED + 1).s11) / 2
    places = JUNCTION | RATES | FANO
    slope, gamma = slopes(document, places, traces), traces(truth)
    prior = embedded(junction, [*JUNCTION], [*places])
    prior += embedded(np.array([[FANO_REAL[1] ** 2]]), ["fano_real"], [*places])
    covariance = inverse(information(slope, gamma, np.full(gamma.shape, noise)) + prior)
    found |= {name: sigma for name, sigma in zip(places, np.sqrt(np.diag(covariance)), strict=True) if name in RATES}

    def spectra(one: Truth) -> Any:
        # A radiometer's noise is a factor, which a difference does not remove: measured for ever, there is none.
        return emission(one, SEED, samples=1e20).spectrum

    spectrum = spectra(truth)
    relative = np.std(emission(truth, SEED).spectrum / spectrum)
    known = [*JUNCTION, *RATES]
    everything = JUNCTION | RATES | {"gain": ("chain", "gain_db")}
    names = [*everything, *PHOTONS]
    slope = np.concatenate([slopes(document, everything, spectra), photon_slopes(document, spectra)], axis=-1)
    prior = embedded(covariance[: len(known), : len(known)], known, names)
    prior += embedded(np.diag([sigma**2 for sigma in PHOTONS.values()]), [*PHOTONS], names)
    noise = relative * spectrum
    found |= bound(information(slope, np.ones_like(spectrum), noise), prior, names, ("gain", "excess_photons"))
    # The level of each spectrum tells much of the photons of the line, and the fit takes it for a drift: it is unknown.
    count = len(spectrum)
    levels = spectrum[..., None] * np.linalg.qr(np.eye(count)[:, 1:] - 1 / count)[0][:, None]
    slope = np.concatenate([slope, levels], axis=-1)
    known_before = np.pad(prior, (0, count - 1))
    return found | bound(information(slope, np.ones_like(spectrum), noise), known_before, names, ("line_photons",))


def bound(data: Real, prior: Real, names: list[str], wanted: tuple[str, ...]) -> dict[str, float]:
    """Name → Cramér–Rao bound of σ for those that are `wanted`; the first parameters have these `names`."""
    sigma = np.sqrt(np.diag(inverse(data + prior)))
    return {name: float(sigma[names.index(name)]) for name in wanted}


def fitted(document: dict[str, Any]) -> dict[str, FitResult]:
    """Result → the fit that reports it."""
    truth = Truth.model_validate(document)
    curve = fit_current_voltage(*current_voltage(truth, SEED), series_resistance=SERIES_RESISTANCE)
    rates = fit_reflection(reflection(truth, SEED), prior=curve)
    gain = fit_emitted_power(emission(truth, SEED), prior=rates)
    return (
        dict.fromkeys(("gap", "normal_resistance", "electron_temperature"), curve)
        | dict.fromkeys(RATES, rates)
        | dict.fromkeys(POWER, gain)
    )


@pytest.mark.parametrize("number", [None, 0, 1, 2])
def test_sigma_is_the_bound(number: int | None) -> None:
    document = isothermal_truth() if number is None else random_truth(number)
    bound, fits = bounds(document), fitted(document)
    ratio = {name: fit[name].sigma / bound[name] for name, fit in fits.items()}
    print({name: round(float(r), 3) for name, r in ratio.items()})  # noqa: T201  # kept by pytest, for the record
    assert ratio == pytest.approx(dict.fromkeys(ratio, 1.0), abs=0.1), ratio
