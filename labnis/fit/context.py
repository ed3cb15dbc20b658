"""Conditions that a fit needs besides the data."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

__all__ = ["FitContext"]


@dataclass(frozen=True)
class FitContext:
    """Conditions of a measurement, all of them stored with the run so that a refit needs only its file.

    Attributes
    ----------
    wiring
        Wiring between instruments and device: divider, series_resistance (ohm), … .
    device
        The device, as in the station file.
    fridge_temperature
        Temperature of the stage (K); NaN if not known.
    fixed
        Parameters that a fit holds at a value, by name.

    """

    wiring: Mapping[str, Any] = field(default_factory=dict)
    device: Mapping[str, Any] = field(default_factory=dict)
    fridge_temperature: float = math.nan
    fixed: Mapping[str, float] = field(default_factory=dict)

    @property
    def series_resistance(self) -> float:
        """Series resistance of the bias line (ohm); 0 if the wiring has none."""
        return float(self.wiring.get("series_resistance", 0.0))

    def as_json(self) -> str:
        """Return the context as JSON, with null for an unknown temperature; `from_json` reads it back."""
        known = math.isfinite(self.fridge_temperature)
        return json.dumps(asdict(self) | {"fridge_temperature": self.fridge_temperature if known else None})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of `as_json`; unknown keys are ignored."""
        found = json.loads(text)
        temperature = found.get("fridge_temperature")
        return cls(
            found.get("wiring", {}),
            found.get("device", {}),
            math.nan if temperature is None else float(temperature),
            found.get("fixed", {}),
        )
