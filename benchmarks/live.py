"""Time of live fits: one update, and the loop beside which they run."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.timing import Line, promise, seconds
from labnis.experiment.analysis import Analysis, fitted
from labnis.experiment.live_fit import LiveFit
from labnis.fit import FitContext, FitError, FitResult
from labnis.fit.analyses import CurrentVoltage, EmittedPower, Reflection
from tests.fit.measuring import SERIES_RESISTANCE, current_voltage, device, emission, reflection

__all__ = ["live"]

PROMISED_UPDATE, PROMISED_SLOWDOWN = 0.05, 0.05
# A quick lock-in: its filter settles in so many seconds, and reading and recording take so many of Python.
WAIT, WORK, ROWS = 5e-3, 1e-3, 1000
CONTEXT = FitContext(wiring={"series_resistance": SERIES_RESISTANCE})

Real = NDArray[np.float64]


def live() -> list[Line]:
    """Median time of an update over a sweep, for each measurement, and by how much a loop is slowed."""
    truth = device()
    voltage, current = current_voltage(truth, points=401)
    curve = _dataset(voltage, current=current, excitation=np.full(voltage.size, 1e-6))
    traces = reflection(truth, biases=61, frequencies=401)
    reflected = _dataset(traces.device_voltage, traces.frequency, s11=traces.s11)
    spectra = emission(truth, biases=61, frequencies=1001)
    fridge = np.full(61, spectra.fridge_temperature)
    emitted = _dataset(spectra.device_voltage, spectra.frequency, spectrum=spectra.spectrum, fridge_temperature=fridge)
    lines: list[Line] = []
    priors: dict[str, FitResult] = {}
    steps: list[tuple[Analysis, xarray.Dataset]] = [
        (CurrentVoltage(), curve), (Reflection(), reflected), (EmittedPower(), emitted),
    ]  # fmt: skip
    for analysis, data in steps:
        median, priors[analysis.name] = _updates(analysis, data, priors)
        remark = promise(f"less than {PROMISED_UPDATE * 1e3:.0f} ms", median < PROMISED_UPDATE)
        lines.append(Line(f"live update, {analysis.name}, median over the sweep", f"{median * 1e3:.0f} ms", remark))
    return [*lines, _slowdown(curve)]


def _dataset(voltage: Real, frequency: Real | None = None, **columns: NDArray[Any]) -> xarray.Dataset:
    """Columns along the bias, traces along bias and frequency, as a run reads back."""
    dims = {1: ("bias",), 2: ("bias", "frequency")}
    variables = {name: (dims[values.ndim], values) for name, values in columns.items()}
    coordinates = {"bias": voltage} | ({} if frequency is None else {"frequency": frequency})
    return xarray.Dataset({"device_voltage": ("bias", voltage), **variables}, coordinates)


def _updates(analysis: Analysis, data: xarray.Dataset, priors: Mapping[str, FitResult]) -> tuple[float, FitResult]:
    """Median time (s) of a fit that starts from that of one row less, and the last fit."""
    size = data.sizes["bias"]
    times, last = [], None
    for rows in range(4, size + 1, max(1, size // 40)):
        start = time.perf_counter()
        try:
            with threadpool_limits(1):  # as live fits do
                last = fitted(analysis, data.isel(bias=slice(rows)), CONTEXT, priors, last)
        except FitError:  # too little of the sweep is there
            continue
        times.append(time.perf_counter() - start)
    return float(np.median(times)), fitted(analysis, data, CONTEXT, priors, None)


def _slowdown(data: xarray.Dataset) -> Line:
    """A loop of waiting and working, with and without a live fit of all its rows."""

    def fit(rows: xarray.Dataset, earlier: FitResult | None) -> FitResult:
        return fitted(CurrentVoltage(), rows, CONTEXT, {}, earlier)

    def loop(offer: Callable[[int], None]) -> None:
        for row in range(ROWS):
            time.sleep(WAIT)
            until = time.thread_time() + WORK
            while time.thread_time() < until:
                pass
            offer(row)

    def measured() -> None:
        beside = LiveFit(fit, lambda _: None)
        loop(lambda row: beside.offer(lambda: data.isel(bias=slice(100 + row % 300))))
        beside.close()

    alone, together = seconds(lambda: loop(lambda _: None), measured, rounds=3)
    slower = together / alone - 1
    return Line(
        f"loop of {ROWS} rows of {(WAIT + WORK) * 1e3:.0f} ms, slowed by live fits",
        f"{slower:.1%}",
        promise(f"less than {PROMISED_SLOWDOWN:.0%}", slower < PROMISED_SLOWDOWN),
    )
