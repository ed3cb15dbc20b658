"""One source of systematic uncertainty."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Distribution", "Source"]

# Ranges extend a little beyond their nominal value.
_MARGIN = 1.05

Distribution = Literal["normal", "rectangular"]


@dataclass(frozen=True)
class Source:
    """One effect that all readings of the same kind share.

    Attributes
    ----------
    uid
        Its identity: results that share it err together. It names instrument, serial number, quantity and range, and
        the date of the adjustment, as in `keithley_2450/4123456/voltage.gain[20mV]@2026-03-14`; of simulated
        instruments that err also how their errors were drawn, as in `…@2026-03-14#stated 3` (seed 3).
    label
        What it is, for a table.
    unit
        Of `standard`; "1" for a relative effect.
    standard
        Standard uncertainty u, at least 0.
    distribution
        Of the effect; a rectangular one never exceeds `standard`·√3.
    document
        Where the figure is stated: a data sheet and its page, a certificate.
    acts_on
        Kind of reading that it changes, such as "voltage.gain" (see `labnis.fit.effects`); "prior" for a value that a
        fit takes as a prior, so that the covariance of the fit contains it.
    above, largest
        The range that it belongs to: readings from `above` to `largest`, in the unit of the reading; 0 and infinite
        for a source of all ranges.

    """

    uid: str
    label: str
    unit: str
    standard: float
    distribution: Distribution
    document: str
    acts_on: str
    above: float = 0.0
    largest: float = math.inf

    def holds(self, size: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether ranges in use, or else readings, of this `size` (in the unit of the reading) belong to its range."""
        absolute = np.abs(size)
        above = (absolute > _MARGIN * self.above) | (self.above == 0)
        return np.asarray(above & (absolute <= _MARGIN * self.largest))

    def as_record(self) -> dict[str, Any]:
        """Return plain types, without an infinite `largest`; `from_record` reads it back."""
        return {name: value for name, value in asdict(self).items() if value != math.inf}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Inverse of `as_record`."""
        return cls(**record)
