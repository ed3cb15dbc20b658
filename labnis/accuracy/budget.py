"""Budget of systematic uncertainty: the effect of each source on each value of a fit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from labnis.accuracy.source import Source

__all__ = ["Budget"]

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Budget:
    """Systematic uncertainty of the values of a fit, by source.

    Attributes
    ----------
    sources
        The sources, m of them.
    columns
        Change of each value by one standard uncertainty of each source, with its sign, shape (n, m).
    absent
        What is not in the budget, as nobody stated it: name → statement.

    """

    sources: tuple[Source, ...]
    columns: Real = field(compare=False)
    absent: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """Return plain types; `from_record` reads it back."""
        return {
            "sources": [source.as_record() for source in self.sources],
            "columns": self.columns.tolist(),
            "absent": list(self.absent),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Inverse of `as_record`."""
        sources = tuple(Source.from_record(one) for one in record["sources"])
        columns = np.array(record["columns"], dtype=np.float64).reshape(-1, len(sources))
        return cls(sources, columns, tuple(record["absent"]))

    @property
    def variance(self) -> Real:
        """Variance of each value by all sources, shape (n,)."""
        return np.asarray((self.columns**2).sum(axis=1))

    @property
    def within(self) -> Real:
        """The part that the covariance of the fit contains, as the fit has these sources as priors, shape (n, n)."""
        inside = self.columns[:, [source.acts_on == "prior" for source in self.sources]]
        return np.asarray(inside @ inside.T)
