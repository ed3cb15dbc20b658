"""Figures of runs: what was measured, with the fit drawn through it. The only room that draws."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.constants import k

from labnis.fit import FitResult
from labnis.physics import NISJunction, Resonator
from labnis.storage import open_run, read_fits

__all__ = ["DATA", "FIT", "band_power", "draw_runs"]

Real = NDArray[np.float64]

DATA = "#3b6ea5"
FIT = "#c8553d"


def draw_runs(paths: Sequence[Path], file: Path) -> None:
    """Draw each run of `paths` into one panel of `file` (format by its ending); simulated data are marked."""
    figure = Figure(figsize=(4.6 * len(paths), 3.8), layout="constrained")
    axes = figure.subplots(1, len(paths), squeeze=False)[0]
    for axis, path in zip(axes, paths, strict=True):
        run = open_run(path)
        fits = {name: FitResult.from_record(record) for name, record in read_fits(path).items()}
        _PANELS.get(run.attrs["procedure"], _draw_signal)(axis, run, fits)
        if run.attrs["simulated"]:
            axis.text(
                1.0, 1.01, "SIMULATED", transform=axis.transAxes, ha="right", va="bottom", color="#8c2f8f", fontsize=7,
            )  # fmt: skip
    figure.savefig(file, dpi=150)


def _draw_current(axis: Axes, run: xarray.Dataset, fits: dict[str, FitResult]) -> None:
    voltage, current = run["device_voltage"].values, run["current"].values
    axis.plot(voltage * 1e3, current * 1e9, ".", ms=4, color=DATA, label="measured")
    if "current_voltage" in fits:
        v = dict(zip(fits["current_voltage"].names, fits["current_voltage"].values, strict=True))
        junction = NISJunction(v["gap"], v["normal_resistance"], v["dynes"])
        model = junction.current((voltage + v["voltage_offset"]) / 2, v["electron_temperature"]) + v["current_offset"]
        axis.plot(voltage * 1e3, model * 1e9, color=FIT, lw=1, label="fit")
    axis.legend(frameon=False, loc="upper left", fontsize=8)
    axis.set(xlabel="device voltage (mV)", ylabel="current (nA)", title="current–voltage curve")
    conductance = run["conductance"].values
    if np.isfinite(conductance).any():
        inset = axis.inset_axes((0.6, 0.13, 0.38, 0.34))
        inset.semilogy(voltage * 1e3, np.where(conductance > 0, conductance, np.nan) * 1e6, color=DATA, lw=0.8)
        inset.set_title("dI/dV (µS)", fontsize=7, pad=2)
        inset.tick_params(labelsize=6)


def _draw_reflection(axis: Axes, run: xarray.Dataset, _fits: dict[str, FitResult]) -> None:
    traces = run["s11"].values
    ratio = 20 * np.log10(np.abs(traces / traces[0]))
    limit = float(np.percentile(np.abs(ratio), 99.5)) or 1.0
    mesh = axis.pcolormesh(
        run["bias"].values * 1e3, run["frequency"].values / 1e9, ratio.T, cmap="RdBu_r", vmin=-limit, vmax=limit,
        shading="nearest", rasterized=True,
    )  # fmt: skip
    axis.figure.colorbar(mesh, ax=axis, label="|S11(V)/S11(0)| (dB)")
    axis.set(xlabel="bias (mV)", ylabel="frequency (GHz)", title="reflection")


def _draw_power(axis: Axes, run: xarray.Dataset, fits: dict[str, FitResult]) -> None:
    voltage, power = run["device_voltage"].values, run["band_power"].values
    axis.plot(voltage * 1e3, power * 1e9, ".", ms=4, color=DATA)
    if "emitted_power" in fits:
        expected = band_power(fits["emitted_power"], voltage, run["frequency"].values)
        axis.plot(voltage * 1e3, expected * 1e9, color=FIT, lw=1)
        gain, noise = fits["emitted_power"]["gain"], fits["emitted_power"]["noise_temperature"]
        label = f"G = {gain.value:.2f} ± {gain.sigma:.2f} dB\nT = {noise.value:.2f} ± {noise.sigma:.2f} K"
        axis.text(0.04, 0.96, label, transform=axis.transAxes, va="top", color=FIT)
    axis.set(xlabel="device voltage (mV)", ylabel="power in the band (nW)", title="emitted power")


def band_power(fit: FitResult, device_voltage: Real, frequency: Real) -> Real:
    """Power (W) in the band of `frequency` (Hz) that a fit of spectra predicts at each `device_voltage` (V)."""
    v = fit.by_name
    # The damping rate's shape does not depend on the tunnelling resistance, which this fit does not know.
    junction = NISJunction(v["gap"], 1.0, v["dynes"])
    resonator = Resonator(v["ohmic_frequency"], v["damping_line"], v["damping_excess"], v["damping_junction"])
    voltage = (device_voltage[:, None] + v["voltage_offset"]) / 2
    emitted = resonator.emitted_spectrum(frequency, junction, voltage, v["electron_temperature"])
    power = np.trapezoid(emitted + k * v["noise_temperature"], frequency, axis=-1)
    return np.asarray(10 ** (v["gain"] / 10) * power)


def _draw_signal(axis: Axes, run: xarray.Dataset, _fits: dict[str, FitResult]) -> None:
    """Any other procedure: its first scalar column against its set-point."""
    signal = run[str(run.attrs["signal"])]
    along = [str(name) for name, values in signal.coords.items() if values.dims == signal.dims and name != "point"]
    x = along[0] if along else str(signal.dims[0])
    if signal.ndim == 1:
        axis.plot(run[x].values, signal.values, ".", color=DATA)
    axis.set(
        xlabel=x,
        ylabel=f"{signal.attrs['long_name']} ({signal.attrs['units']})",
        title=run.attrs["procedure"],
    )


_PANELS: dict[str, Callable[[Axes, xarray.Dataset, dict[str, Any]], None]] = {
    "IVSweep": _draw_current,
    "ReflectionVsBias": _draw_reflection,
    "EmittedPowerVsBias": _draw_power,
}
