"""What resonators and amplifier chains do and the fits do not model: off unless the truth file wants it."""

import numpy as np
from numpy.typing import NDArray

from sim_instruments.world.truth import Truth

__all__ = ["Imperfections"]

Real = NDArray[np.float64]

# Part of the seed of the draws, which leaves the noise as it is.
_DRAWS = 2


class Imperfections:
    """Jitter of the resonance, gain ripple, compression and spurs of one simulation.

    Parameters
    ----------
    truth
        Contents of the truth file.
    seed
        Of the simulation.

    """

    def __init__(self, truth: Truth, seed: int) -> None:
        self._resonator = truth.resonator
        self._chain = truth.chain
        self._random = np.random.default_rng([seed, _DRAWS])

    def seen_from_resonance(self, frequencies: Real) -> Real:
        """`frequencies` (Hz), shape (m,), less the jitter of the resonance: as a whole, and at each of them."""
        slow, fast = self._resonator.trace_jitter, self._resonator.point_jitter
        if slow == fast == 0:
            return frequencies
        jitter = slow * self._random.standard_normal() + fast * self._random.standard_normal(frequencies.shape)
        return np.asarray(frequencies - jitter)

    def ripple(self, frequencies: Real) -> Real:
        """Factor of the chain's gain (of power) at `frequencies` (Hz)."""
        phase = 2 * np.pi * frequencies / self._chain.gain_ripple_period
        return np.asarray(10 ** (self._chain.gain_ripple_db / 2 * np.sin(phase) / 10))

    def compression(self, emitted_power: float) -> float:
        """Factor of the gain while the device emits this power (W): half of it at the saturation power."""
        saturation = self._chain.saturation_power
        return 1.0 if saturation is None else 1 / (1 + max(emitted_power, 0.0) / saturation)

    def spurs(self, frequencies: Real) -> Real:
        """Power of the spurs in one spectrum, relative to the noise of the chain, at `frequencies` (Hz), shape (m,).

        Each is in the bin that is nearest; those outside of the band are not seen.
        """
        found = np.zeros(frequencies.shape)
        for spur in self._chain.spurs:
            if frequencies.min() <= spur.frequency <= frequencies.max():
                shape = spur.unsteady**-2 if spur.unsteady else np.inf
                size = self._random.gamma(shape, 1 / shape) if np.isfinite(shape) else 1.0
                found[np.argmin(np.abs(frequencies - spur.frequency))] += size * 10 ** (spur.level_db / 10)
        return found
