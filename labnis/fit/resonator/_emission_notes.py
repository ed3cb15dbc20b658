"""Notes and warnings of a gain fit: photons, spurs, an unusual gain, a filter that is too wide."""

from collections.abc import Mapping

import numpy as np

from labnis.fit.estimate import number_text
from labnis.fit.resonator._biases import gigahertz
from labnis.fit.resonator._emission_data import EmissionData
from labnis.fit.resonator._lines import EXCESS_PHOTONS, LINE_PHOTONS, Lines, Spectra
from labnis.fit.result import FitResult

__all__ = ["GAINS", "LARGEST_GAIN_SIGMA", "photon_notes", "spur_notes", "too_cold", "unusual_gain", "wide_filter"]

# Spurs that a note names.
_LISTED = 6
# Widest filter of the analyzer, in widths of the line at the largest bias.
_WIDEST_FILTER = 0.3
#: Gains (dB) of chains of amplifiers, lossy ones included.
GAINS = (-40.0, 130.0)
#: In dB; an emitted power with an uncertainty of a third of itself may be noise.
LARGEST_GAIN_SIGMA = 10 / np.log(10) / 3
# So many standard uncertainties of a number of photons are told, and are in doubt where it is negative.
_TOLD, _TOO_COLD = 3.0, 4.0


def photon_notes(result: FitResult) -> tuple[str, ...]:
    """What the spectra say of warm baths, where it is more than noise."""
    line, excess = result[LINE_PHOTONS], result[EXCESS_PHOTONS]
    beyond = "beyond those of the fridge's temperature"
    texts = {
        f"the spectra show {line} photons in each mode of the line, {beyond}; their noise does not count in "
        "noise_temperature: attenuate and filter the line, or look for what radiates into it": line,
        f"the spectra show excess losses with {excess} photons {beyond}: look for what heats the resonator": excess,
    }
    return tuple(text for text, photons in texts.items() if 0 < _TOLD * photons.sigma < photons.value)


def too_cold(result: FitResult) -> tuple[str, ...]:
    """A warning where line or losses are colder than the fridge."""
    whose = {LINE_PHOTONS: "each mode of the line", EXCESS_PHOTONS: "the excess losses"}
    kelvin = number_text(result.inputs["fridge_temperature"], "K")
    return tuple(
        f"the spectra show {result[name]} photons in {what} beyond those of the fridge's temperature, {kelvin}: "
        "nothing is colder than the fridge; is its temperature read right, and are the rates those of this device?"
        for name, what in whose.items()
        if result[name].value < -_TOO_COLD * result[name].sigma < 0
    )


def wide_filter(data: EmissionData, values: Mapping[str, float]) -> tuple[str, ...]:
    """A warning where the analyzer's filter is so wide that only its variance is not enough."""
    width = float(Lines.of(values, data).total[np.abs(data.device_voltage).argmax()]) / (2 * np.pi)
    if data.noise_bandwidth <= _WIDEST_FILTER * width:
        return ()
    return (
        f"the noise bandwidth of the analyzer, {number_text(data.noise_bandwidth, 'Hz')}, is not small against the "
        f"line, {number_text(width, 'Hz')}: measure with a smaller resolution_bandwidth",
    )


def unusual_gain(gain: float) -> tuple[str, ...]:
    """A warning about a gain (dB) that no chain of amplifiers has."""
    if GAINS[0] < gain < GAINS[1]:
        return ()
    return (
        f"a gain of {gain:.4g} dB is unusual: is spectrum the power density in W/Hz, not its square root (an "
        "amplitude), or in another unit?",
    )


def spur_notes(data: EmissionData, spectra: Spectra) -> tuple[str, ...]:
    """Which bins do not count in the noise temperature."""
    if not spectra.spurs.any():
        return ()
    places = [gigahertz(one) for one in data.frequency[spectra.spurs].tolist()]
    more = f" and {len(places) - _LISTED} more" if len(places) > _LISTED else ""
    return (
        f"spurs stand out of the chain's noise and do not count in noise_temperature: at {', '.join(places[:_LISTED])}"
        f"{more}",
    )
