"""Conditions that a fit needs besides the data."""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from labnis.accuracy import Source
from labnis.fit.result import FitResult

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
    given
        Parameters that a fit knows with a standard uncertainty: name → (value, σ).
    drawn
        What tells a simulated device from others of its name; empty for a real one.
    sources
        Sources of systematic uncertainty of these data; None where the station file states nothing of it.
    unstated
        What is not among the sources, as nobody stated it.

    """

    wiring: Mapping[str, Any] = field(default_factory=dict)
    device: Mapping[str, Any] = field(default_factory=dict)
    fridge_temperature: float = math.nan
    fixed: Mapping[str, float] = field(default_factory=dict)
    sources: tuple[Source, ...] | None = None
    unstated: tuple[str, ...] = ()
    given: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    drawn: str = ""

    def of_parameters(self, names: Collection[str]) -> Self:
        """Return the same conditions with what is known of the parameters `names` alone."""
        return replace(
            self,
            fixed={name: value for name, value in self.fixed.items() if name in names},
            given={name: value for name, value in self.given.items() if name in names},
        )

    @property
    def series_resistance(self) -> float:
        """Series resistance of the bias line (ohm); 0 if the wiring has none."""
        return float(self.wiring.get("series_resistance", 0.0))

    @property
    def series_resistance_sigma(self) -> float:
        """Standard uncertainty of the series resistance (ohm), as the reading of the current shows it; 0 if not stated.

        A current that is read too large by a part makes the drop over the line too large by as much.
        """
        stated = {"series_resistance": 1.0, "ammeter.gain": self.series_resistance}
        known = [s for s in self.sources or () if s.acts_on in stated and math.isinf(s.largest)]
        if not any(source.acts_on == "series_resistance" for source in known):
            return 0.0
        return math.hypot(*(source.standard * stated[source.acts_on] for source in known))

    @property
    def junctions(self) -> int | tuple[int, int]:
        """Junctions of the device: 1, 2, or (series, parallel) of an array; a pair where it is not said."""
        found = self.device.get("junctions", 2)
        return (int(found[0]), int(found[1])) if isinstance(found, list | tuple) else int(found)

    @property
    def resonator(self) -> str:
        """How the resonator is connected: reflection, which holds where it is not said, hanger or transmission."""
        return str(self.device.get("resonator", "reflection"))

    @property
    def voltage_zero_sigma(self) -> float | None:
        """By how much the zero of the voltage drifts between two runs (V, standard uncertainty); None if not stated."""
        return next((source.standard for source in self.sources or () if source.acts_on == "voltage.zero"), None)

    @property
    def divider(self) -> float:
        """Source voltage per bias voltage; 1 if the wiring has none."""
        return float(self.wiring.get("divider", 1.0))

    def as_json(self) -> str:
        """Return the context as JSON, with null for an unknown temperature; `from_json` reads it back."""
        known = math.isfinite(self.fridge_temperature)
        sources = None if self.sources is None else [source.as_record() for source in self.sources]
        plain = {"fridge_temperature": self.fridge_temperature if known else None, "sources": sources}
        return json.dumps(asdict(self) | plain)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of `as_json`; unknown keys are ignored."""
        found = json.loads(text)
        temperature, sources = found.get("fridge_temperature"), found.get("sources")
        return cls(
            found.get("wiring", {}),
            found.get("device", {}),
            math.nan if temperature is None else float(temperature),
            found.get("fixed", {}),
            None if sources is None else tuple(map(Source.from_record, sources)),
            tuple(found.get("unstated", ())),
            {name: (float(value), float(sigma)) for name, (value, sigma) in found.get("given", {}).items()},
            found.get("drawn", ""),
        )

    def not_held(self, fit: FitResult, analysis: str) -> list[str]:
        """Warnings where a `fit` by a lab's `analysis` has not held what it should."""
        return [
            f"{name} was to be held at {value:g} {fit[name].unit}, and is {fit[name]}: the analysis {analysis} has to "
            "take what `context.fixed` holds"
            for name, value in self.fixed.items()
            if name in fit.names and not math.isclose(fit[name].value, value, rel_tol=1e-9, abs_tol=0.0)
        ]
