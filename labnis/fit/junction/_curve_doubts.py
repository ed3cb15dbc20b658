"""Doubts about a current–voltage curve: units, other junctions, copies, the resistance of the line, drifts."""

import numpy as np

from labnis.fit._doubts import UNEVEN, or_held, suspected
from labnis.fit._residuals import told_alike
from labnis.fit._sweeps import compared_sweeps, sweeps_of
from labnis.fit.arrays import Real
from labnis.fit.junction._array import PAIR, JunctionArray
from labnis.fit.junction._gap_loss import gap_loss_suspects
from labnis.fit.junction._heated_pair import HeatedPair, Readings
from labnis.fit.junction._line import LINE
from labnis.fit.junction._offset_step import likeliest_step, text_of_step
from labnis.fit.junction._pair import PairModel
from labnis.fit.junction._unequal_pair import ASYMMETRY, unequal_suspect
from labnis.fit.models import CurveModel, Suspect
from labnis.fit.result import FitResult
from labnis.physics import NISJunction

__all__ = ["curve_warnings", "line_warnings", "other_junctions", "unusual_resistance"]

# The curve contradicts a stated resistance of the line beyond this many of its standard uncertainties.
_CONTRADICTS = 2.5
# What a drift and a wrong resistance of the line look like; it is hardly wrong by more than this part of a junction's.
_DRIFT = (
    "it looks like a drift of current or voltage in the course of the sweep: let the instruments settle, or sweep up "
    "and down"
)
_WRONG_LINE, _PLAUSIBLE = "it looks like a series resistance that is {:.3g} ohm off: measure it again", 0.1
# Resistances (ohm) of common tunnel junctions, and the highest one of a single junction, such as that of an STM.
_USUAL_RESISTANCES, _HIGHEST_OF_ONE = (50.0, 2e6), 1e13
# With less than this part of what is known of the line, the data say only in which direction it is off.
_MOSTLY = 0.5
# Gaps of aluminium films (eV); no other superconductor of common junctions has half or twice such a gap.
_ALUMINIUM = (160e-6, 260e-6)


def line_warnings(
    result: FitResult, readings: Readings, model: CurveModel, *, rounded: bool = False
) -> tuple[str, ...]:
    """A warning where the curve wants another resistance of the line than what is stated, or looks like a drift.

    What is `rounded` with more than its noise, or noise that is not the same everywhere, may look like any of these:
    they are then looked for only where structure is left.
    """
    uneven = any(text.startswith(UNEVEN) for text in result.warnings)
    quiet = (rounded or uneven) and not told_alike(result.warnings)
    of_pair = readings.array.resistance
    stated, sigma = readings.series_resistance / of_pair, readings.resistance_sigma / of_pair
    losses = [] if quiet else gap_loss_suspects(model, result.by_name)
    if LINE not in result.names:
        if quiet:
            return ()
        change = model.by_voltage(result.values) * readings.current * of_pair
        within, plausible = _CONTRADICTS * sigma, _PLAUSIBLE * result["normal_resistance"].value
        time = np.linspace(-0.5, 0.5, change.size)
        drifts = [model.signal(result.values), model.by_voltage(result.values), np.ones(change.size)]
        drift = Suspect(_DRIFT, np.stack([time * drift for drift in drifts], axis=-1))
        line, unequal = Suspect(_WRONG_LINE, change[:, None], (within, plausible)), []
        if readings.array == PAIR and ASYMMETRY not in result.names:
            values = result.by_name
            junction = NISJunction(values["gap"], values["normal_resistance"], max(values["dynes"], 0.0))
            voltage, weight = readings.voltage + values["voltage_offset"], _weight(model)
            unequal = [unequal_suspect(junction, voltage, values["electron_temperature"], weight)]
        # What a wrong value that is held explains is no wrong line.
        held = model.jacobian(result.values)[:, result.sigma == 0]
        found = suspected(result, model, [line, *unequal, *losses], known=held)
        # An error of the line within what is stated looks much like unequal junctions, or a warm superconductor.
        if suspected(result, model, [line._replace(plausible=(0.0, within))]):
            found = suspected(result, model, [*unequal, *losses], known=np.hstack([held, change[:, None]]))
        # A step is none that a drift describes as well.
        known = np.hstack([change[:, None], drift.columns])
        found = found or suspected(result, model, [_step(result, readings, model)], known=known)
        return found or suspected(result, model, [drift], known=change[:, None])
    found, wanted = suspected(result, model, losses), readings.array.of_device(result)[LINE]
    # What the data alone say: what is stated, an error of 0 ± sigma, pulls that of the fit towards 0.
    share = 1 - (wanted.sigma / sigma) ** 2 if sigma else 1.0
    if share > _MOSTLY:
        error, own = wanted.value / share, float(wanted.sigma / np.sqrt(share))
        told = f"of {stated + error:.5g} ± {own:.2g} ohm"
    else:
        error, own = wanted.value, sigma
        told = f"of {'more' if error > 0 else 'less'} than {stated + error:.5g} ohm"
    if found or abs(error) <= _CONTRADICTS * np.hypot(own, sigma):
        return found
    return (
        f"the data want a series resistance {told}, and {stated:.5g} ± {sigma:.2g} ohm are stated; is the stated value "
        f"wrong, {or_held(result)}or the model?",
    )


def _step(result: FitResult, readings: Readings, model: CurveModel) -> Suspect:
    """The likeliest step of the current's offset (A of the device)."""
    slopes, counts = np.where(model.mask[:, None], model.jacobian(result.values), 0.0), model.mask
    by_offset = slopes[:, result.names.index("current_offset")]
    behind = likeliest_step(np.where(counts, result.residuals, 0.0), slopes[:, result.sigma > 0], by_offset)
    return Suspect(
        f"it looks like {text_of_step(behind, readings)}", (by_offset * behind)[:, None] * readings.array.current
    )


def _weight(model: CurveModel) -> Real:
    """Weight of each residual, shape (n,)."""
    assert isinstance(model, PairModel | HeatedPair)  # noqa: S101  # for mypy
    return model.weight


def unusual_resistance(resistance: float, array: JunctionArray) -> tuple[str, ...]:
    """A warning about a resistance (ohm) that only some other unit, or no gap in the sweep, may explain."""
    low, high = _USUAL_RESISTANCES
    if low < resistance < (_HIGHEST_OF_ONE if array.series == 1 else high):
        return ()
    narrow = "" if resistance <= low else ", and does the sweep reach beyond the gap"
    return (
        f"{resistance:.3g} ohm is unusual for a tunnel junction; is the current in ampere{narrow}? If it is right, "
        "give normal_resistance with its σ",
    )


def other_junctions(array: JunctionArray, gap: float) -> list[str]:
    """A warning where the curve is that of aluminium only if the device has other junctions than stated."""
    if _ALUMINIUM[0] < gap < _ALUMINIUM[1]:
        return []
    edge = array.series * gap
    others = {1: "one junction", 2: "a pair in series"}
    return [
        f"the gap would be {1e6 * gap:.4g} µeV with {array.series} in series, and with {what} that of aluminium, "
        f"{1e6 * edge / series:.4g} µeV: is this {what}? Then give junctions={series} (`device: junctions:` of a "
        f"station): gap, resistance and temperature are {array.series / series:.3g} times as large; if this gap is "
        "right, give it with its σ"
        for series, what in others.items()
        if series != array.series and _ALUMINIUM[0] < edge / series < _ALUMINIUM[1]
    ]


def curve_warnings(voltage: Real, current: Real, residuals: Real) -> tuple[str, ...]:
    """Warnings from the points of a fit, in the order of measurement."""
    found = []
    repeated = int(((np.diff(voltage) == 0) & (np.diff(current) == 0)).sum())
    if 2 * repeated > voltage.size:
        found.append(
            f"{repeated} of {voltage.size} points repeat the one before in voltage and current: they are copies, or "
            "the meter did not read again, and the true uncertainties are larger"
        )
    found += compared_sweeps(sweeps_of(voltage), voltage, residuals, "A")
    return tuple(found)
