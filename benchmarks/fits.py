"""The three fits of a calibration, on data of the size that its default settings give."""

import numpy as np

from benchmarks.timing import Line, seconds
from labnis.fit import fit_current_voltage, fit_emitted_power, fit_reflection
from tests.fit.measuring import SERIES_RESISTANCE, current_voltage, device, emission, reflection

__all__ = ["fits"]


def fits() -> list[Line]:
    """Wall time of each fit from a cold start."""
    truth = device()
    voltage, current = current_voltage(truth, points=401)
    traces = reflection(truth, biases=61, frequencies=401)
    spectra = emission(truth, biases=61, frequencies=1001)
    junction = fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE)
    rates = fit_reflection(traces, prior=junction)
    times = seconds(
        lambda: fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE),
        lambda: fit_reflection(traces, prior=junction),
        lambda: fit_emitted_power(spectra, prior=rates),
        rounds=3,
    )
    sizes = (f"{voltage.size} points", *("{} × {}".format(*np.shape(x)) for x in (traces.s11, spectra.spectrum)))
    names = ("current–voltage", "reflection", "emitted power")
    return [Line(f"fit of {n}, {size}", f"{t:.2f} s") for n, size, t in zip(names, sizes, times, strict=True)]
