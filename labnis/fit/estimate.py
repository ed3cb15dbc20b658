"""A value with its standard uncertainty, and its text: "215.03 ± 0.12 µeV"."""

import html
import math
import re
from dataclasses import dataclass
from typing import Any

from uncertainties.core import AffineScalarFunc, LinearCombination, ufloat  # type: ignore[import-untyped]

__all__ = ["CONFIDENCE", "ONE_SIDED", "Estimate", "number_text", "scaled_unit"]

_PREFIXES = (
    (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"),
)  # fmt: skip
# Units without prefix, and their text.
_BARE = {"dB": "dB", "dBm": "dBm", "1": "", "": "", "%": "%"}
# A prefix multiplies the first factor of a unit, which must not be a power or a denominator.
_PREFIXABLE = re.compile(r"[A-Za-zΩ]+(?![\w²³⁴⁵^])")
CONFIDENCE = 0.95
"""Of a limit."""
ONE_SIDED = 1.645
"""The quantile of a normal distribution for it."""

# Numbers without prefix that are written without exponent.
_SMALLEST, _LARGEST = 1e-4, 1e6


@dataclass(frozen=True, repr=False)
class Estimate:
    """One value with its standard uncertainty (1σ) and unit; a σ of 0 means that the value is exact.

    `sigma` is the total, `systematic` its part by named sources; None where nothing is stated of these. With a `limit`
    the data do not determine the value: it is below the limit with a confidence of 95 %, and value and σ are only where
    the fit ended.
    """

    value: float
    sigma: float
    unit: str
    systematic: float | None = None
    limit: float | None = None

    @property
    def statistical(self) -> float:
        """The part of σ by noise; all of it where nothing is stated of systematic uncertainty."""
        return math.sqrt(max(self.sigma**2 - (self.systematic or 0.0) ** 2, 0.0))

    def as_record(self) -> dict[str, Any]:
        """Return plain types, with both parts of σ, None where nothing is stated; or the limit, without a value."""
        if self.limit is not None:
            limit = {"limit": self.limit, "side": "upper", "confidence": CONFIDENCE}
            return {"value": None, "sigma": None, "statistical": None, "systematic": None, "unit": self.unit} | limit
        statistical = None if self.systematic is None else self.statistical
        return {
            "value": self.value,
            "sigma": self.sigma,
            "statistical": statistical,
            "systematic": self.systematic,
            "unit": self.unit,
        }

    def __str__(self) -> str:
        """Value ± σ with σ to two digits, or the limit, and a suitable prefix of the unit."""
        if self.limit is not None:
            return f"< {number_text(self.limit, self.unit)} ({100 * CONFIDENCE:.0f} %)"
        scale, unit = scaled_unit(_larger(self.value, self.sigma), self.unit)
        value, sigma = self.value / scale, self.sigma / scale
        if sigma == 0 or not math.isfinite(value):
            return f"{value:g} {unit}".strip()
        if not math.isfinite(sigma) or sigma < 0:
            return f"{value:g} ± ? {unit}".strip()
        size = _larger(value, sigma)
        exponent = 0 if _SMALLEST <= size < _LARGEST else math.floor(math.log10(size))
        value, sigma = value / 10.0**exponent, sigma / 10.0**exponent
        decimals = max(0, min(12, 1 - int(f"{sigma:.1e}".split("e")[1])))
        text = f"{value:.{decimals}f} ± {sigma:.{decimals}f}"
        return (f"({text})e{exponent:+03d} {unit}" if exponent else f"{text} {unit}").strip()

    def __repr__(self) -> str:
        """As `str`."""
        return str(self)

    def __format__(self, spec: str) -> str:
        """As `str`; with a `spec` as uncertainties formats it, in `unit` without a prefix: `.2u`, `.3f`, `P`."""
        if not spec or self.limit is not None:
            return str(self)
        exact = self.sigma == 0  # ufloat would warn
        number = AffineScalarFunc(self.value, LinearCombination({})) if exact else ufloat(self.value, self.sigma)
        return f"{number:{spec}} {_BARE.get(self.unit, self.unit)}".strip()

    def _repr_html_(self) -> str:
        """For a notebook."""
        return html.escape(str(self))


def scaled_unit(size: float, unit: str) -> tuple[float, str]:
    """Return a factor and the text of the unit with the prefix that suits a value of this `size`: (1e-6, "µeV").

    Rates are given in 1/µs.
    """
    if unit in _BARE:
        return 1.0, _BARE[unit]
    if unit == "1/s":
        return 1e6, "1/µs"
    text = "Ω" + unit[3:] if unit.startswith("ohm") else unit
    if not math.isfinite(size) or size == 0 or not _PREFIXABLE.match(text):
        return 1.0, text
    scale, prefix = next((entry for entry in _PREFIXES if abs(size) >= entry[0]), _PREFIXES[-1])
    return scale, prefix + text


def number_text(value: float, unit: str, apart_from: float = 0.0) -> str:
    """Three digits, a prefix and the unit: "1.2 mV"; a question mark for a value that is not known.

    More digits where these are needed to tell it from the other value that it is `apart_from`.
    """
    if not math.isfinite(value):
        return "?"
    scale, text = scaled_unit(value, unit)
    part = abs(value - apart_from) / abs(value) if value != 0 else 1.0
    digits = max(3, 2 + math.ceil(-math.log10(part))) if part else 3
    return f"{value / scale:.{digits}g} {text}".strip()


def _larger(value: float, sigma: float) -> float:
    """|value|, or σ where that is larger and finite."""
    return max(abs(value), sigma) if math.isfinite(sigma) else abs(value)
