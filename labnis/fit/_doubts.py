"""Texts of a result about its residuals: what was left out, structure and what it looks like, uneven noise."""

import numpy as np

from labnis.fit._residuals import (
    OUTLIER,
    are_few,
    explained,
    local_variances,
    run_length,
    uneven,
    unlike_noise,
)
from labnis.fit.arrays import Real
from labnis.fit.models import Model
from labnis.fit.result import FitResult

__all__ = ["doubts_from_residuals", "texts_of_left_out"]

# Glitches are fewer than so many side by side; of more than _LISTED the result names the first.
_RUN, _LISTED = 3, 6
# A suspect explains at least this part of the structure, and lowers χ² by this much.
_EXPLAINS, _SURE = 0.3, 16.0
# Uneven noise has at least this correlation with its kind, and makes a σ too small by this factor.
_ALIKE, _TOO_SMALL = 0.2, 1.3


def doubts_from_residuals(result: FitResult, model: Model) -> tuple[str, ...]:
    """Warnings from the residuals: structure and what it looks like, and noise that is not the same everywhere."""
    counts, free = model.mask, result.sigma > 0
    rest, slopes = result.residuals[counts], model.jacobian(result.values)[:, free]
    found = [*unlike_noise(result.chi2, result.degrees_of_freedom, rest)]
    between = result.noise * np.sqrt(result.degrees_of_freedom / max(result.chi2, np.finfo(float).tiny))
    alike = bool(found) and result.chi2 > result.degrees_of_freedom
    uneven_noise = () if alike else _uneven_noise(result, model, slopes[counts], between)
    if uneven_noise:  # which explains away what is significant for the same noise everywhere
        return (*found, *uneven_noise)
    suspects = model.suspects(result.values)
    by = {text: explained(rest, slopes[counts], columns[counts], between) for text, columns in suspects.items()}
    sure = [text for text, seen in by.items() if seen.decrease > _SURE + 2 * suspects[text].shape[1]]
    if sure:
        best = max(sure, key=lambda text: by[text].decrease / suspects[text].shape[1])
        if by[best].part > _EXPLAINS or not alike:
            found.append(best.format(by[best].amplitude))
    return tuple(found)


def _uneven_noise(result: FitResult, model: Model, slopes: Real, between: float) -> tuple[str, ...]:
    """A warning where noise that is not the same everywhere makes a σ too small; `slopes` of the data that count."""
    counts, free = model.mask, result.sigma > 0
    variances = local_variances(result.residuals, model.rows(), counts)[counts]
    covariance = result.covariance[np.ix_(free, free)]
    influence = slopes @ covariance / result.noise**2
    factor = uneven(variances, influence, np.diag(covariance), max(between, result.noise))
    if factor < _TOO_SMALL:
        return ()
    shapes = model.noise_shapes(result.values)
    alike = {text: float(np.corrcoef(variances, shape[counts] ** 2)[0, 1]) for text, shape in shapes.items()}
    kind = max(alike, key=lambda text: alike[text], default="")
    like = f", as by {kind}" if alike.get(kind, 0.0) > _ALIKE else ""
    return (
        f"the noise is not the same everywhere{like}: it is largest where the results depend on it most, and the true "
        f"uncertainties are up to {factor:.2g} times as large",
    )


def texts_of_left_out(model: Model) -> tuple[tuple[str, ...], bool]:
    """Which data were left out, in words, and whether these are glitches: few, and no three side by side."""
    size, found = model.mask.size, np.flatnonzero(~model.mask)
    if not found.size:
        return (), True
    places = [*dict.fromkeys(model.place(int(datum)) for datum in found)]
    more = f" and {len(places) - _LISTED} more" if len(places) > _LISTED else ""
    text = f"{found.size} of {size} data lie more than {OUTLIER:g}σ off and were left out"
    where = f"; at {', '.join(places[:_LISTED])}{more}"
    if not are_few(found.size, size):
        return (f"{text}: too many for glitches, so the model may be wrong; look at the residuals{where}",), False
    longest = run_length(model.mask, model.rows())
    if longest >= _RUN:
        told = f"{text}, {longest} of them side by side, which glitches are not; look at the residuals{where}"
        return (told,), False
    return (f"{text}{where}",), True
