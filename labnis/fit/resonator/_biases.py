"""Biases in units of the gap: how far a sweep should extend, and which biases mean a wrong unit."""

import numpy as np

from labnis.fit.arrays import Real
from labnis.fit.result import FitError

__all__ = ["GOOD_BIAS", "refuse_impossible_biases", "volts"]


# Where a sweep should end (gaps): the truncation of a high-bias expansion is negligible there.
GOOD_BIAS = 10.0
# No junction is biased beyond this (gaps); voltages in mV are.
_IMPOSSIBLE_BIAS = 300.0


def volts(energy: float) -> str:
    """Voltage across the device at which each junction has this energy (eV)."""
    return f"{2 * energy * 1e3:.2g} mV across the device"


def refuse_impossible_biases(device_voltage: Real, gap: float, why: str) -> None:
    """Raise FitError for biases (V, across the pair) that stay inside the `gap` (eV; `why`), or are far too large."""
    in_gaps = np.abs(device_voltage) / (2 * gap)
    if in_gaps.max() < 1:
        raise FitError(
            f"the largest bias is {in_gaps.max():.3g} gaps across one junction, and {why}; "
            f"sweep to {volts(GOOD_BIAS * gap)}, and give device_voltage in V"
        )
    if np.median(in_gaps) > _IMPOSSIBLE_BIAS:
        raise FitError(
            f"half of the biases are above {np.median(in_gaps):.3g} gaps across one junction, which is not possible; "
            "give device_voltage in V"
        )
