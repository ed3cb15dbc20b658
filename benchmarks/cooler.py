"""Electron temperature against bias of the published cooler, against scipy.optimize.root with quadrature."""

import numpy as np

from benchmarks.timing import Line, ratio_line, seconds
from tests.physics import micro_cooler

__all__ = ["cooler"]

DEVICE = micro_cooler.cooler(andreev=micro_cooler.channel())
BIAS = np.linspace(0, 500e-6, 101)
BATHS = np.array([0.09, 0.14, 0.23, 0.33, 0.43])[:, None]
FINE = np.linspace(0, 500e-6, 2001)
# The slow one solves every tenth point of each curve, from 25 µV up; its time is scaled to all points.
SAMPLE = BIAS[5::10]


def _by_quadrature() -> list[tuple[float, float]]:
    return [micro_cooler.steady_state(DEVICE, float(v), float(bath)) for bath in BATHS[:, 0] for v in SAMPLE]


def cooler() -> list[Line]:
    """Times, their ratio, how far both are apart, and the cost per point at a warm and a cold bath."""
    ours, theirs, warm, cold = seconds(
        lambda: DEVICE.operating_point(BIAS, BATHS),
        _by_quadrature,
        lambda: DEVICE.operating_point(FINE, 0.3),
        lambda: DEVICE.operating_point(FINE, 0.005),
    )
    theirs *= BIAS.size / SAMPLE.size
    reference = np.array(_by_quadrature())[:, 0].reshape(BATHS.size, SAMPLE.size)
    apart = np.abs(DEVICE.operating_point(SAMPLE, BATHS).electron_temperature / reference - 1).max()
    remark = f"{SAMPLE.size * BATHS.size} points, scaled; {apart:.0e} apart"
    subject = f"T_e(V), {BATHS.size} curves of {BIAS.size} points"
    return [
        Line(f"{subject}, SINISCooler", f"{ours * 1e3:.1f} ms"),
        Line(f"{subject}, scipy.optimize.root", f"{theirs:.1f} s", remark),
        ratio_line(theirs / ours, 500),
        Line("  per point at 300 mK", f"{warm / FINE.size * 1e6:.0f} µs"),
        Line("  per point at 5 mK", f"{cold / FINE.size * 1e6:.0f} µs", f"{cold / warm:.2f} of that at 300 mK"),
    ]
