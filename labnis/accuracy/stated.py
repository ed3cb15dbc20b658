"""An uncertainty as a document states it, and how a limit or an expanded one becomes a standard uncertainty.

The words are those of the GUM (JCGM 100:2008): standard uncertainty u, expanded uncertainty k·u, limit a.
"""

import math
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from labnis.accuracy.source import Distribution

__all__ = ["StatedUncertainty"]

Positive = Annotated[float, Field(gt=0)]


class StatedUncertainty(BaseModel):
    """An uncertainty as a document states it: exactly one of `limit`, `standard`, and `expanded` with `k`.

    Attributes
    ----------
    limit
        Largest deviation, without a coverage: the effect is rectangular, u = limit/√3 (GUM 4.3.7).
    standard
        Standard uncertainty.
    expanded, k
        Expanded uncertainty and its coverage factor: u = expanded/k (GUM 4.3.3).
    relative
        Whether the figure is a part of the value.

    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)

    limit: Positive | None = None
    standard: Positive | None = None
    expanded: Positive | None = None
    k: Annotated[float, Field(ge=1)] | None = None
    relative: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in ("limit", "standard", "expanded") if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"found {found}; give exactly one of limit, standard, and expanded with k")
        if (self.expanded is None) != (self.k is None):
            raise ValueError("expanded and k belong together: an expanded uncertainty says nothing without its k")
        return self

    @property
    def figure(self) -> float:
        """The figure as it is stated."""
        return self.limit or self.standard or self.expanded or math.nan

    @property
    def distribution(self) -> Distribution:
        """Rectangular for a limit, normal otherwise."""
        return "normal" if self.limit is None else "rectangular"

    @property
    def standard_uncertainty(self) -> float:
        """U, in the unit of the figure."""
        if self.limit is not None:
            return self.limit / math.sqrt(3)
        if self.expanded is not None and self.k is not None:
            return self.expanded / self.k
        return self.standard or math.nan
