"""What live fits cost: one update, and the loop that they run beside."""

import time
from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.timing import Line, promise, seconds
from drivers.wiring import Wiring
from labnis.experiment.analysis import ESTIMATORS, Columns
from labnis.experiment.live_fit import LiveFit
from labnis.fit import FitError, FitResult
from tests.fit.measuring import SERIES_RESISTANCE, current_voltage, device, emission, reflection

__all__ = ["live"]

PROMISED_UPDATE, PROMISED_SLOWDOWN = 0.05, 0.05
# A quick lock-in: its filter settles in so many seconds, and reading and recording take so many of Python.
WAIT, WORK, ROWS = 5e-3, 1e-3, 1000
WIRING = Wiring(series_resistance=SERIES_RESISTANCE)


def live() -> list[Line]:
    """Median time of an update over a sweep, for each measurement, and by how much a loop is slowed."""
    truth = device()
    voltage, current = current_voltage(truth, points=401)
    curve = {"device_voltage": voltage, "current": current, "excitation": np.full(voltage.size, 1e-6)}
    traces = reflection(truth, biases=61, frequencies=401)
    rows = {"device_voltage": traces.device_voltage, "s11": traces.s11, "frequency": traces.frequency}
    spectra = emission(truth, biases=61, frequencies=1001)
    powers = {"device_voltage": spectra.device_voltage, "spectrum": spectra.spectrum, "frequency": spectra.frequency}
    powers["fridge_temperature"] = np.full(61, spectra.fridge_temperature)
    lines, prior = [], None
    for name, columns in (("IVSweep", curve), ("ReflectionVsBias", rows), ("EmittedPowerVsBias", powers)):
        median, prior = _updates(name, columns, prior)
        remark = promise(f"less than {PROMISED_UPDATE * 1e3:.0f} ms", median < PROMISED_UPDATE)
        lines.append(Line(f"live update, {name}, median over the sweep", f"{median * 1e3:.0f} ms", remark))
    return [*lines, _slowdown(curve)]


def _part(columns: Columns, rows: int) -> Columns:
    """What was there after so many rows."""
    return {name: values if name == "frequency" else values[:rows] for name, values in columns.items()}


def _updates(name: str, columns: Columns, prior: FitResult | None) -> tuple[float, FitResult]:
    """Median time (s) of a fit that starts from that of one row less, and the last fit."""
    fit, size = ESTIMATORS[name].fit, len(columns["device_voltage"])
    times, last = [], None
    for rows in range(4, size + 1, max(1, size // 40)):
        start = time.perf_counter()
        try:
            with threadpool_limits(1):  # as live fits do
                last = fit(_part(columns, rows), WIRING, prior, last)
        except FitError:  # too little of the sweep is there
            continue
        times.append(time.perf_counter() - start)
    return float(np.median(times)), fit(columns, WIRING, prior, None)


def _slowdown(columns: Columns) -> Line:
    """A loop of waiting and working, with and without a live fit of all its rows."""

    def fit(data: Columns, earlier: FitResult | None) -> FitResult:
        return ESTIMATORS["IVSweep"].fit(data, WIRING, None, earlier)

    def loop(offer: Callable[[int], None]) -> None:
        for row in range(ROWS):
            time.sleep(WAIT)
            until = time.thread_time() + WORK
            while time.thread_time() < until:
                pass
            offer(row)

    def fitted() -> None:
        beside = LiveFit(fit, lambda _: None)
        loop(lambda row: beside.offer(lambda: _part(columns, 100 + row % 300)))
        beside.stop()

    alone, together = seconds(lambda: loop(lambda _: None), fitted, rounds=3)
    slower = together / alone - 1
    return Line(
        f"loop of {ROWS} rows of {(WAIT + WORK) * 1e3:.0f} ms, slowed by live fits",
        f"{slower:.1%}",
        promise(f"less than {PROMISED_SLOWDOWN:.0%}", slower < PROMISED_SLOWDOWN),
    )
