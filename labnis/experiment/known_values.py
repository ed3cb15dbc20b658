"""Parameters of the fits that are known before a run: held at a value, or given with a standard uncertainty."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from uncertainties import UFloat, nominal_value  # type: ignore[import-untyped]

from labnis.errors import RequestError
from labnis.experiment.analysis import Analysis, adjustable
from labnis.experiment.goals import NUMBER, unit_factor
from labnis.fit import Estimate, FitContext
from labnis.fit.given import PHYSICAL
from labnis.storage import read_metadata

__all__ = ["KnownValues", "known_from_texts", "known_values"]

_VALUE = rf"(?P<value>{NUMBER})\s*(?:(?P<of_value>[^\s+±]*)\s*(?:\+-|\+/-|±)\s*(?P<sigma>{NUMBER}))?"
_TEXT = re.compile(rf"{_VALUE}\s*(?P<unit>.*)")
_PARTS = ("value", "sigma")


@dataclass(frozen=True)
class KnownValues:
    """What is known of the parameters of the fits.

    Attributes
    ----------
    fixed
        Parameter → value, in its unit.
    given
        Parameter → value and standard uncertainty.

    """

    fixed: Mapping[str, float] = field(default_factory=dict)
    given: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def of(self, analyses: Iterable[Analysis]) -> "KnownValues":
        """Return those of the parameters of `analyses`."""
        names = {name for analysis in analyses for name in adjustable(analysis)}
        return KnownValues(
            {name: value for name, value in self.fixed.items() if name in names},
            {name: value for name, value in self.given.items() if name in names},
        )

    def added_to(self, context: FitContext, analyses: Sequence[Analysis]) -> FitContext:
        """Return the `context` of fits with these values; RequestError where no one of `analyses` has a parameter."""
        self.check(name for analysis in analyses for name in adjustable(analysis))
        return replace(context, fixed=self.fixed, given=self.given)

    def check(self, names: Iterable[str]) -> None:
        """Refuse what is not physical, or not of a parameter among `names`.

        Raises
        ------
        RequestError
            The message names the parameter and what is allowed.

        """
        allowed = dict.fromkeys(names)
        for name, (value, sigma) in {**{n: (v, 0.0) for n, v in self.fixed.items()}, **self.given}.items():
            how = "held" if name in self.fixed else "given"
            if name in self.fixed and name in self.given:
                raise RequestError(f"{name} is both held and given with a σ; choose one")
            if name not in allowed:
                listed = ", ".join(allowed) or "none: no analysis of it is declared"
                raise RequestError(f"{name!r} cannot be {how}; the parameters are {listed}")
            low, high = PHYSICAL.get(name, (-math.inf, math.inf))
            if not (math.isfinite(value) and low <= value <= high):
                raise RequestError(
                    f"{name} cannot be {how} at {value:g}; it is from {low:g} to {high:g}, in SI units or eV"
                )
            if name in self.given and not 0 < sigma < math.inf:
                raise RequestError(f"{name} is given with σ = {sigma:g}; give a positive one, or hold the parameter")


def known_values(
    fixed: Mapping[str, Any] | None, priors: Mapping[str, Any] | None, resume: Path | None = None
) -> KnownValues:
    """Values as numbers.

    Parameters
    ----------
    fixed
        Parameter → number; of an estimate or a number of `uncertainties` the value without σ.
    priors
        Parameter → pair (value, σ), estimate or number of `uncertainties`.
    resume
        File of a run that is continued with what it knows; then the others must be empty.

    Raises
    ------
    RequestError
        A value of another kind, or one beside those of the run that is resumed.

    """
    if resume is not None:
        if fixed or priors:
            raise RequestError(
                f"{resume} is resumed with its own fixed and priors; leave out these. Nothing was started."
            )
        context = FitContext.from_json(read_metadata(resume)["context"].get("fit", "{}"))
        return KnownValues(context.fixed, context.given)
    held = {name: _number(name, value) for name, value in (fixed or {}).items()}
    return KnownValues(held, {name: _pair(name, value) for name, value in (priors or {}).items()})


def known_from_texts(
    fixed: Sequence[str], priors: Sequence[str], units: Mapping[str, str], option: str = "--fix"
) -> KnownValues:
    """Values from texts like "gap=215e-6" or "gap=215ueV", and "gap=215+-1 ueV" or "gap=215ueV+-1ueV".

    Parameters
    ----------
    fixed, priors
        The texts of options --fix and --prior.
    option
        Name of the option of the first ones, for messages.
    units
        Parameter → unit, of all that may be known.

    Raises
    ------
    RequestError
        For another form, an unknown parameter, a unit of another kind, or a parameter given twice.

    """
    held: dict[str, float] = {}
    given: dict[str, tuple[float, float]] = {}
    for named, texts in ((option, fixed), ("--prior", priors)):
        for text in texts:
            name, value, sigma = _parsed(named, text, units)
            if name in held or name in given:
                raise RequestError(f"{named} {text!r}: {name} is known twice; give it once")
            if sigma is None:
                held[name] = value
            else:
                given[name] = value, sigma
    return KnownValues(held, given)


def _parsed(option: str, text: str, units: Mapping[str, str]) -> tuple[str, float, float | None]:
    """Name, value and σ (None with another option than --prior), in the parameter's unit."""
    name, _, written = (part.strip() for part in text.partition("="))
    match = _TEXT.fullmatch(written)
    examples = {"--fix": "gap=215e-6 or gap=215ueV", "--prior": "dynes=1e-4+-1e-5 or gap=215+-1ueV"}
    example = examples.get(option, "series_resistance=2.1kohm")
    if match is None or (match["sigma"] is None) != (option != "--prior"):
        raise RequestError(f"{option} {text!r}: write it like {example}")
    if name not in units:
        raise RequestError(f"{option} {text!r}: {name!r} is no parameter here; they are {', '.join(units) or 'none'}")
    of_value, unit = match["of_value"] or match["unit"], match["unit"]
    if of_value and not unit:
        raise RequestError(f"{option} {text!r}: σ needs a unit, too: {text}{of_value}")
    factors = {
        part: unit_factor(f"{option} {text!r}", own, units[name])
        for part, own in zip(_PARTS, (of_value, unit), strict=True)
    }
    # 215 times 1e-6 is not 215e-6 in the last digit.
    value, sigma = (
        None if match[part] is None else float(f"{float(match[part]) * factor:.15g}")
        for part, factor in factors.items()
    )
    return name, float(value or 0.0), sigma


def _number(name: str, value: Any) -> float:
    """The value at which the parameter `name` is held."""
    try:
        return float(value.value if isinstance(value, Estimate) else nominal_value(value))
    except (TypeError, ValueError) as error:
        raise RequestError(f"fixed: {name} cannot be held at {value!r}; a number is needed") from error


def _pair(name: str, value: Any) -> tuple[float, float]:
    """Value and σ of a parameter that is given."""
    try:
        if isinstance(value, Estimate):
            return float(value.value), float(value.sigma)
        if isinstance(value, UFloat):
            return float(value.nominal_value), float(value.std_dev)
        found, sigma = map(float, value)
    except (TypeError, ValueError) as error:
        raise RequestError(
            f"priors: {name} cannot be given as {value!r}; a pair (value, σ) or a number with uncertainty is needed"
        ) from error
    return found, sigma
