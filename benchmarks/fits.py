"""The three fits of a calibration, on data of the size that its default settings give, and I–V fits of many points."""

import numpy as np

from benchmarks.timing import Line, seconds
from labnis.fit import fit_current_voltage, fit_emitted_power, fit_reflection
from sim_instruments import SHIPPED_TRUTH, Truth, load_truth
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
    found = [Line(f"fit of {n}, {size}", f"{t:.2f} s") for n, size, t in zip(names, sizes, times, strict=True)]
    cooler = load_truth(SHIPPED_TRUTH.with_name("micro_cooler.yaml"))
    return [*found, *_many_points(truth, "one temperature"), *_many_points(cooler, "an island that heats")]


def _many_points(truth: Truth, island: str) -> list[Line]:
    """Of thirty times as many points, which the model describes or not."""
    voltage, current = current_voltage(truth, points=12000)
    misfit = current + 2e-10 * np.exp(-(((voltage - 2e-4) / 3e-5) ** 2))
    good, bad = seconds(
        lambda: fit_current_voltage(voltage, current, series_resistance=SERIES_RESISTANCE),
        lambda: fit_current_voltage(voltage, misfit, series_resistance=SERIES_RESISTANCE),
        rounds=1,
    )
    return [
        Line(f"fit of current–voltage, {voltage.size} points, {island}, {kind}", f"{t:.1f} s")
        for kind, t in (("good", good), ("a misfit", bad))
    ]
