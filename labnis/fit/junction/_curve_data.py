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
    "is_gap_amid",
    "is_proportional",
    "missing_readings",
    "reach_text",
    "refuse_clipped",
    "refuse_shifted",
    "refuse_unfinished",
    "refuse_without_gap",
    "refuse_without_rise",
]

#: What to do about a complex conductance.
LOCKIN_PHASE = "set the lock-in's phase so that the conductance is in phase, and pass the real part"

# This many equal extreme currents, over this part of the sweep, mean a clipped reading.
_STUCK, _STUCK_PART = 3, 0.01
# Voltages count as different in steps of this part of the sweep; there are six parameters.
_BINS, _FEWEST_VOLTAGES = 1000, 6
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
# In so many parts of a sweep, a gap in its middle has less than this part of the slopes at both ends; and a sweep that
# is so many times as far from 0 V as it is wide is none of a device.
_PARTS, _FLAT, _FAR = 12, 0.5, 10.0


def fitted_without(missing: str) -> tuple[str, ...]:
    """A note of a fit without the readings that `missing_readings` tells; none where nothing is missing."""
    return (f"{missing.partition(';')[0]}: the fit is of the others",) if missing else ()


def missing_readings(voltage: Real, found: Bool) -> str:
    """Why a curve cannot be fitted of which the outer points have not been `found`, both (n,); empty if they have.

    `voltage` (V) are those of all points.
    """
    low, high = voltage[found].min(initial=0.0), voltage[found].max(initial=0.0)
    beyond = int(((voltage < low) | (voltage > high)).sum())
    if not beyond:
        return ""
    ends = " and ".join(number_text(float(end), "V") for end in (low, high))
    return (
        f"{int((~found).sum())} of {found.size} points have no finite reading, among them all {beyond} beyond "
        f"{ends}, as where an instrument is over-range; what remains does not reach far enough "
        "beyond the gap: choose a larger range and measure again"
    )


def reach_text(voltage: Real) -> str:
    """From where to where a sweep goes, by its voltages (V), in words."""
    return f"from {number_text(float(voltage.min()), 'V')} to {number_text(float(voltage.max()), 'V')}"


def refuse_shifted(voltage: Real, current: Real, *, gap_known: bool) -> None:
    """Raise FitError for a sweep that only the offset of a voltmeter takes away from 0 V; both are (n,), in V and A.

    One from 0 V in one direction, or of which a known gap tells where it is, is none.
    """
    low, high = float(voltage.min()), float(voltage.max())
    nearest, centre = max(low, -high), number_text((low + high) / 2, "V")
    if nearest > _FAR * (high - low) and not gap_known:
        raise FitError(
            f"all voltages are within {number_text((high - low) / 2, 'V')} of {centre}, far from 0 V: subtract the "
            "offset of the voltmeter from device_voltage; or is the bias not swept?"
        )
    if nearest > 0 and is_gap_amid(voltage, current):
        raise FitError(
            f"the sweep is centred at {centre}, has its gap in the middle, and does not contain 0 V: subtract the "
            "offset of the voltmeter from device_voltage"
        )


def is_gap_amid(voltage: Real, current: Real) -> bool:
    """Whether the current (A) rises at both ends of the sweep (V), both (n,), and much less in between."""
    part = np.minimum((_PARTS * (voltage - voltage.min()) / np.ptp(voltage)).astype(np.intp), _PARTS - 1)
    size = np.maximum(np.bincount(part, minlength=_PARTS), 1)
    v, i = voltage - (np.bincount(part, voltage) / size)[part], current - (np.bincount(part, current) / size)[part]
    # Without points, or with one of them, a part has no slope, which says nothing.
    squares = np.bincount(part, v * v)
    slopes = np.where(squares > 0, np.bincount(part, v * i) / np.where(squares > 0, squares, 1.0), np.inf)
    ends = min(slopes[0], slopes[-1])
    return bool(0 < ends < np.inf and np.median(slopes[_PARTS // 3 : -_PARTS // 3]) < _FLAT * ends)


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
    away = voltage - voltage.min()
    distinct = np.unique(np.rint(_BINS * away / max(away.max(), np.finfo(float).tiny))).size
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
    advice = "`labnis resume` continues the run, `labnis resume --dry-run` one of a dry run"
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
        f"the current does not rise with the voltage at the end of the sweep {reach_text(voltage)}: it ends inside the "
        "gap, the noise hides the current, or the device is not connected; sweep beyond the gap, or average more"
    )


def is_proportional(voltage: Real, current: Real, slope: float) -> bool:
    """Whether the current (A) without its offset is in proportion to the voltage (V); its `slope` (S) is at the end."""
    inner = np.abs(voltage) < 0.5 * np.abs(voltage).max()
    return float(np.abs(current[inner]).sum()) > _NORMAL * slope * float(np.abs(voltage[inner]).sum())


def refuse_without_gap(voltage: Real, slope: float, *, proportional: bool) -> None:
    """Raise FitError that says why a curve to these voltages (V) shows no gap.

    `slope` is that at the end of the sweep (S), to which the current may be in proportion.
    """
    told = f"no superconducting gap is seen {reach_text(voltage)}"
    if proportional:
        raise FitError(
            f"{told}: the current is in proportion to the voltage, as through {number_text(1 / slope, 'ohm')}; is the "
            "device normal, as above its critical temperature or field, or a resistor, or does a leak parallel to it "
            "hide its gap? Or take more points inside the gap"
        )
    raise FitError(
        f"{told}: at its ends the current still bends, so that the sweep ends inside the gap or at its edge; widen the "
        "sweep to three times the edge"
    )
