"""Errors of the simulated instruments and of the wiring, drawn from what a station states of them."""

import zlib
from collections.abc import Sequence

import numpy as np

from labnis.accuracy import Source

__all__ = ["InstrumentErrors"]


class InstrumentErrors:
    """One error (reading minus truth, stated value minus true value) for each source, the same for a whole simulation.

    Each draw depends on the seed and on the name of its source alone, so that another source changes no other error. A
    source of one run (its name ends with @ and the run) has the same error in all runs of a seed.

    Parameters
    ----------
    sources
        What is stated.
    seed
        Seed of the instruments, that of the simulation or one of their own.
    normal
        Draw all of them from normal distributions of their standard uncertainty.

    Attributes
    ----------
    by_uid
        Name of the source → error, in the unit of the source.

    """

    def __init__(self, sources: Sequence[Source], seed: int, *, normal: bool = False) -> None:
        self._sources = tuple(source for source in sources if source.acts_on != "voltage.zero")
        self._zero = [source for source in sources if source.acts_on == "voltage.zero"]
        self._seed, self._normal = seed, normal
        self.by_uid = {source.uid: _drawn(source, seed, normal=normal) for source in self._sources}

    def step_of_zero(self, number: int) -> float:
        """What the zero of the voltage (V) drifts by before the source goes on again, for the time of this `number`."""
        # The first time (0) has the zero of the truth file.
        return sum(_drawn(source, self._seed, number, normal=self._normal) for source in self._zero) if number else 0.0

    def of(self, acts_on: str, reading: float = 0.0, measuring_range: float = np.nan) -> float:
        """Error of one kind of reading; of a source with ranges that of the range in use, or else of the `reading`."""
        size = measuring_range if np.isfinite(measuring_range) else reading
        return sum(
            self.by_uid[source.uid]
            for source in self._sources
            if source.acts_on == acts_on and bool(source.holds(np.array(size)))
        )


def _drawn(source: Source, seed: int, *number: int, normal: bool) -> float:
    lasting = source.uid.partition("@")[0]
    draw = np.random.default_rng([seed, zlib.crc32(lasting.encode()), *number])
    if normal or source.distribution == "normal":
        return float(source.standard * draw.standard_normal())
    return float(source.standard * draw.uniform(-np.sqrt(3), np.sqrt(3)))
