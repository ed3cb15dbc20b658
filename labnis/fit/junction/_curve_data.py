"""Curves that cannot be fitted: readings missing, clipped, in other units, of another sign, or without a gap."""

import numpy as np
from scipy.ndimage import median_filter

from labnis.fit.arrays import FEWEST_POINTS, Bool, Real
from labnis.fit.estimate import number_text
from labnis.fit.result import FitError

__all__ = [
    "LOCKIN_PHASE",
    "check_units",
    "fitted_without",
    "is_proportional",
    "missing_readings",
    "refuse_clipped",
    "refuse_unfinished",
    "refuse_without_gap",
    "refuse_without_rise",
]

#: What to do about a complex conductance.
LOCKIN_PHASE = "set the lock-in's phase so that the conductance is in phase, and pass the real part"

# This many equal extreme currents, over this part of the sweep, mean a clipped reading.
_STUCK, _STUCK_PART = 3, 0.01
# Voltages count as different in steps of this part of the largest; there are six parameters.
_BINS, _FEWEST_VOLTAGES = 500, 6
# No current of a tunnel junction (A); instruments mark over-range readings by such numbers.
_MARKER = 1e6
# Voltages (V) and resistances (ohm) of devices with tunnel junctions, also of arrays and far inside the gap.
_VOLTAGES, _RESISTANCES = (2e-6, 0.3), (0.1, 1e16)
# A correlation of current and voltage beyond this has a sign.
_SIGN = -0.5
# A current below this part of the largest, within this part of the sweep, flows inside the gap.
_SMALL, _INNER = 0.03, 0.5
# The current per voltage at so many outermost points falls to half about at the edge of the gap, which must be exceeded
# by this factor.
_OUTER, _BEYOND = 5, 1.3
# Biases are the same within this part of the largest.
_SAME = 1e-9
# Where the current is in proportion to the voltage but for this part, it has no gap.
_NORMAL = 0.7


def fitted_without(missing: str) -> tuple[str, ...]:
    """A note of a fit without the readings that `missing_readings` tells; none where nothing is missing."""
    return (f"{missing.partition(';')[0]}: the fit is of the others",) if missing else ()


def missing_readings(voltage: Real, found: Bool) -> str:
    """Why a curve cannot be fitted of which the outer points have not been `found`, both (n,); empty if they have.

    `voltage` (V) are those of all points.
    """
    reached = float(np.abs(voltage[found]).max(initial=0.0))
    beyond = int((np.abs(np.nan_to_num(voltage)) > reached).sum())
    if not beyond:
        return ""
    return (
        f"{int((~found).sum())} of {found.size} points have no finite reading, among them all {beyond} beyond "
        f"±{number_text(reached, 'V')}, as where an instrument is over-range; what remains does not reach far enough "
        "beyond the gap: choose a larger range and measure again"
    )


def check_units(voltage: Real, current: Real) -> None:
    """Raise FitError for voltages (V) and currents (A), both (n,), that only other units or an exchange explain."""
    largest, most = float(np.abs(voltage).max(initial=0.0)), float(np.abs(current).max(initial=0.0))
    if largest < most and _VOLTAGES[0] < most < _VOLTAGES[1] and largest < _VOLTAGES[0]:
        raise FitError(
            f"device_voltage reaches {largest:.3g} V and current {most:.3g} A: the two columns are exchanged, or in "
            "other units; give device_voltage in V and current in A"
        )
    if largest > _VOLTAGES[1]:
        raise FitError(
            f"device_voltage reaches {largest:.3g} V, and a device with tunnel junctions needs less than "
            f"{_VOLTAGES[1]:g} V; give device_voltage in volt"
        )
    if most and not _RESISTANCES[0] < largest / most < _RESISTANCES[1] and most < _MARKER:
        raise FitError(
            f"{most:.3g} A at {largest:.3g} V would be a resistance of {largest / most:.3g} ohm; give current in "
            "ampere and device_voltage in volt"
        )


def refuse_clipped(voltage: Real, current: Real) -> None:
    """Raise FitError for too few different voltages (V), or a clipped current (A)."""
    distinct = np.unique(np.rint(_BINS * voltage / max(np.abs(voltage).max(), np.finfo(float).tiny))).size
    if distinct < _FEWEST_VOLTAGES:
        raise FitError(
            f"{distinct} different voltages are too few for an I–V fit; at least {_FEWEST_VOLTAGES} are needed"
        )
    for end in (current.min(), current.max()):
        stuck = voltage[current == end]
        if stuck.size < _STUCK or np.ptp(stuck) <= _STUCK_PART * np.ptp(voltage) or np.ptp(current) == 0:
            continue
        if _is_inside(stuck, voltage, abs(end) / np.abs(current).max()):
            continue
        told = f"{stuck.size} points from {stuck.min():.4g} to {stuck.max():.4g} V read the same"
        if abs(end) > _MARKER:
            raise FitError(
                f"{told} {end:.4g} A, the mark of a reading that is over-range; choose a larger range, or leave these "
                "points out"
            )
        if np.abs(stuck).min() == np.abs(voltage).min() and 2 * stuck.size > voltage.size:
            raise FitError(
                f"{told} current {end:.4g} A: it is below the resolution of the meter, so that the sweep ends inside "
                "the gap, or the device is not connected; sweep farther, or choose a smaller range"
            )
        raise FitError(
            f"{told} extreme current {end:.4g} A: the reading is clipped; raise its range or the compliance, or leave "
            "these points out"
        )


def _is_inside(stuck: Real, voltage: Real, part: float) -> bool:
    """Whether points of one current at the voltages `stuck` (V) are those inside the gap, rounded to the last digit.

    That current is this `part` of the largest. In a one-sided sweep it is the smallest one.
    """
    side = float(np.sign(np.median(stuck)))
    outermost = max(float((side * voltage).max()), _INNER * float(np.abs(voltage).max()))
    return part < _SMALL and float((side * stuck).max()) < outermost


def refuse_unfinished(voltage: Real, current: Real, measured: Real, planned: Real) -> None:
    """Raise FitError for a sweep that was interrupted too early for a fit.

    `voltage` (V) and `current` (A), both (n,), are the finite readings, `measured` (V) the biases so far, in the order
    of measurement, and `planned` (V) all of them.
    """
    advice = "`labnis resume` continues the run, `labnis resume --dry-run` a simulated one"
    if voltage.size < FEWEST_POINTS:
        raise FitError(
            f"only {voltage.size} of {planned.size} points have a reading: too few for an I–V fit, which needs "
            f"{FEWEST_POINTS}; {advice}"
        )
    way = f"from {number_text(measured[0], 'V')} to {number_text(measured[-1], 'V')}"
    told = f"only {measured.size} of {planned.size} points were measured, {way}"
    nearest, farthest = float(np.abs(planned).min()), float(np.abs(planned).max())
    if np.abs(measured).min() > nearest + _SAME * farthest:
        zero = number_text(nearest if nearest > _SAME * farthest else 0.0, "V")
        raise FitError(f"{told}: the fit needs the curve down to {zero}; {advice}")
    if np.abs(measured).max() < farthest * (1 - _SAME) and not _is_beyond(np.abs(voltage), np.abs(current)):
        raise FitError(f"{told}: the sweep has not come beyond the gap; {advice}")


def _is_beyond(away: Real, flows: Real) -> bool:
    """Whether |current| (A) at rising |voltage| (V), both (n,), shows the edge of the gap well within the sweep."""
    order = np.argsort(away)
    away, flows = away[order], median_filter(flows[order], size=3, mode="mirror")
    inside = away[flows < 0.5 * np.median(flows[-_OUTER:] / away[-_OUTER:]) * away]
    return bool(inside.size) and away[-1] > _BEYOND * float(inside[-1])


def refuse_without_rise(voltage: Real, current: Real) -> None:
    """Raise FitError that says why the current (A) does not rise with the voltage (V), both (n,), at the end."""
    reached = number_text(float(np.abs(voltage).max()), "V")
    if np.ptp(current) == 0:
        raise FitError(
            f"the current does not rise with the voltage: every reading is {current[0]:.4g} A; is the meter read, and "
            "is the device connected?"
        )
    if np.corrcoef(voltage, current)[0, 1] < _SIGN:
        raise FitError(
            "the current does not rise with the voltage, it falls: the sign of one of them is inverted; correct the "
            "polarity of the leads, or the sign of the amplifier's gain in the wiring"
        )
    raise FitError(
        f"the current does not rise with the voltage at the end of the sweep, {reached}: it ends inside the gap, or "
        "the device is not connected; sweep beyond the gap"
    )


def is_proportional(voltage: Real, current: Real, slope: float) -> bool:
    """Whether the current (A) is in proportion to the voltage (V), with the `slope` (S) at the end of the sweep.

    But for an offset, where the sweep has both signs.
    """
    inner = np.abs(voltage) < 0.5 * np.abs(voltage).max()
    if voltage.min() < 0 < voltage.max():
        current = current - np.median(current[inner])
    return float(np.abs(current[inner]).sum()) > _NORMAL * slope * float(np.abs(voltage[inner]).sum())


def refuse_without_gap(voltage: Real, current: Real, slope: float) -> None:
    """Raise FitError that says why the curve shows no gap; `slope` is that at the end of the sweep (S)."""
    reached = number_text(float(np.abs(voltage).max()), "V")
    if is_proportional(voltage, current, slope):
        raise FitError(
            f"no superconducting gap is seen within |V| ≤ {reached}: the current is in proportion to the voltage; is "
            "the device normal, as above its critical temperature or field, or a resistor? Or take more points inside "
            "the gap"
        )
    raise FitError(
        f"no superconducting gap is seen within |V| ≤ {reached}: at its ends the current still bends, so that the "
        "sweep ends inside the gap or at its edge; widen the sweep to three times the edge"
    )
