"""Damping rates and resonance frequency from reflection traces at many biases.

Every trace shares one unknown background (cables, amplifiers), one complex number per frequency. It is eliminated
exactly: for given parameters the best background is a weighted mean over the biases, so no reference trace has to be
trusted and no shape of the background assumed. What identifies the rates is that the bias moves and widens the
resonance while the background stays (Hyyppä et al., APL 114, 192603, divide by the zero-bias trace for that reason).

Reflection alone cannot tell γ_tr from Re φ: Γ = −1 + (1 + φ)γ_tr/(γ_Σ − 2iδ) contains them only as the product
(1 + φ)γ_tr. Coupled-mode theory of a resonator with weak cross-talk (Fan, Suh & Joannopoulos, JOSA A 20, 569) gives
Re φ = 1 up to terms of second order in the cross-talk, so Re φ enters as an assumption with an uncertainty, stated in
the result, and its uncertainty is carried into γ_tr, γ_x and the gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labnis.fit._derived import with_derived
from labnis.fit._least_squares import Parameter, solve
from labnis.fit._resonator_model import JUNCTION_NAMES, DeviceModel, junction_parameters
from labnis.fit.result import FitError, FitResult

__all__ = ["FANO_REAL", "ReflectionData", "fit_reflection"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

MODEL = "reflection at all biases"

# Assumed real part of the Fano factor and its standard uncertainty; see the module's docstring.
FANO_REAL = (1.0, 0.02)


@dataclass(frozen=True)
class ReflectionData:
    """Reflection traces at n biases and m frequencies.

    Attributes
    ----------
    device_voltage
        Voltage across the SINIS pair (V), shape (n,).
    frequency
        Probe frequencies (Hz), shape (m,).
    s11
        As a network analyzer measures it (phase convention e^{+jωt}), shape (n, m).

    """

    device_voltage: Real
    frequency: Real
    s11: Complex

    def __post_init__(self) -> None:
        expected = (self.device_voltage.size, self.frequency.size)
        if self.s11.shape != expected:
            raise FitError(f"s11 has shape {self.s11.shape}; {expected} is needed (biases, frequencies)")

    def finite(self) -> "ReflectionData":
        """Only the biases at which everything is finite."""
        usable = np.isfinite(self.s11).all(axis=1) & np.isfinite(self.device_voltage)
        return ReflectionData(self.device_voltage[usable], self.frequency, self.s11[usable])

    def thinned(self, biases: int, frequencies: int) -> "ReflectionData":
        """About `biases` × `frequencies` of the data, evenly spread, for a coarse search."""
        rows = np.unique(np.linspace(0, self.device_voltage.size - 1, biases).round().astype(int))
        columns = np.unique(np.linspace(0, self.frequency.size - 1, frequencies).round().astype(int))
        return ReflectionData(self.device_voltage[rows], self.frequency[columns], self.s11[np.ix_(rows, columns)])


def fit_reflection(
    data: ReflectionData, *, prior: FitResult | None = None, start: FitResult | None = None
) -> FitResult:
    """Fit γ_tr, γ_x, γ̄_T, the resonance frequency and the Fano factor to all traces at once.

    Parameters
    ----------
    data
        Traces at four biases or more, some of them beyond the gap.
    prior
        An I–V fit of the same device: its gap, temperature, Dynes parameter and voltage offset enter with their
        covariance. Without it they are fitted.
    start
        An earlier fit of the same kind to start from; not a prior.

    Returns
    -------
    FitResult
        damping_line, damping_excess, damping_junction (1/s), ohmic_frequency (Hz, far above the gap), fano_real,
        fano_imag, the junction parameters, and resonance_frequency (Hz, at zero bias).

    Raises
    ------
    FitError
        With fewer than four usable traces, no bias dependence beyond the noise, no convergence, or a rate that the
        traces do not determine.

    """
    usable = data.finite()
    if usable.device_voltage.size < 4:
        raise FitError(f"{usable.device_voltage.size} usable traces are too few; at least 4 biases are needed")
    # Network analyzers count phase as e^{+jωt}; the model follows physics.
    usable = ReflectionData(usable.device_voltage, usable.frequency, usable.s11.conj())
    junction = junction_parameters(prior or start, usable.device_voltage)
    rates = _search(usable, junction, [] if start is None else [_rates_from(start)])
    parameters = [*rates, *junction]
    names = [p.name for p in parameters]

    def residuals(x: Real) -> Real:
        rest = _unexplained(dict(zip(names, x, strict=True)), usable)
        return np.concatenate([rest.real.ravel(), rest.imag.ravel()])

    solution = solve(parameters, residuals, absorbed=2 * usable.frequency.size, prior=_with_fano(prior))
    result = solution.as_result(
        MODEL,
        parameters,
        assumed={
            "fano_real": f"{FANO_REAL[0]} ± {FANO_REAL[1]}; reflection contains only (1 + φ)·γ_tr",
            "electron_temperature": "the same at every bias",
        },
    )
    _refuse_undetermined(result)
    return with_derived(result, "resonance_frequency", "Hz", _zero_bias_resonance)


def _model(values: dict[str, float], data: ReflectionData) -> Complex:
    device = DeviceModel(values, data.device_voltage)
    return device.resonator.reflection(
        data.frequency, device.junction, device.junction_voltage[:, None], device.temperature
    )


def _unexplained(values: dict[str, float], data: ReflectionData) -> Complex:
    """What is left of the data after the best background for these parameters."""
    gamma = _model(values, data)
    background = (gamma.conj() * data.s11).sum(axis=0) / (np.abs(gamma) ** 2).sum(axis=0)
    return np.asarray(data.s11 - background * gamma)


def _with_fano(prior: FitResult | None) -> FitResult:
    """The prior of the junction parameters, joined by the assumption about Re φ."""
    names: tuple[str, ...] = ("fano_real",)
    units: tuple[str, ...] = ("1",)
    values, covariance = np.array([FANO_REAL[0]]), np.diag([FANO_REAL[1] ** 2])
    if prior is not None:
        junction = prior.select(JUNCTION_NAMES)
        names, units = (*names, *junction.names), (*units, *junction.units)
        values = np.concatenate([values, junction.values])
        joined = np.zeros((len(names), len(names)))
        joined[:1, :1], joined[1:, 1:] = covariance, junction.covariance
        covariance = joined
    return FitResult("prior", names, units, values, covariance, 0.0, 0, 0.0)


def _rate_parameters(line: float, excess: float, junction: float, frequency: float, fano: complex) -> list[Parameter]:
    width = line + excess + junction
    return [
        Parameter("damping_line", "1/s", line, width, 1e-4 * width, 1e3 * width),
        Parameter("damping_excess", "1/s", excess, width, 0.0, 1e3 * width),
        Parameter("damping_junction", "1/s", junction, width, 1e-4 * width, 1e3 * width),
        Parameter("ohmic_frequency", "Hz", frequency, width / (2 * np.pi)),
        Parameter("fano_real", "1", fano.real, 1.0),
        Parameter("fano_imag", "1", fano.imag, 1.0),
    ]


def _rates_from(start: FitResult) -> list[Parameter]:
    v = {name: start[name].value for name in start.names}
    return _rate_parameters(
        v["damping_line"], v["damping_excess"], v["damping_junction"], v["ohmic_frequency"],
        complex(v["fano_real"], v["fano_imag"]),
    )  # fmt: skip


def _search(data: ReflectionData, junction: list[Parameter], candidates: list[list[Parameter]]) -> list[Parameter]:
    """The best start among `candidates` and a coarse grid of rates where the bias changes the traces most."""
    coarse = data.thinned(15, 101)
    frequency, width = _active_region(data)
    fixed = {p.name: p.start for p in junction}
    grid = [
        (factor * width / (line + excess + tunnelling), line, excess, tunnelling, shift * width / (2 * np.pi))
        for factor in (0.3, 1.0, 3.0)
        for line, excess, tunnelling in ((1, 0.1, 1), (1, 0.1, 4), (1, 0.1, 0.3), (1, 1, 2), (0.3, 1, 2), (1, 0.1, 12))
        for shift in (-0.3, 0.0, 0.3)
    ]
    candidates = candidates + [
        _rate_parameters(line * unit, excess * unit, tunnelling * unit, frequency + shift, 1.0)
        for unit, line, excess, tunnelling, shift in grid
    ]

    def left(candidate: list[Parameter]) -> float:
        values = fixed | {p.name: p.start for p in candidate}
        return float((np.abs(_unexplained(values, coarse)) ** 2).sum())

    return min(candidates, key=left)


def _active_region(data: ReflectionData) -> tuple[float, float]:
    """Centre (Hz) and width (rad/s) of the band in which the traces depend on the bias."""
    mean = data.s11.mean(axis=0)
    # Without the background's phase, however long the cables.
    change = (data.s11 - mean) * np.exp(-1j * np.angle(mean))
    variance = np.convolve((np.abs(change) ** 2).mean(axis=0), np.ones(5) / 5, mode="same")
    # Between neighbouring frequencies only noise differs much; the median does not mind a narrow resonance.
    noise = float(np.median((np.abs(np.diff(change, axis=1)) ** 2).mean(axis=0))) / 2
    # Variances of noise scatter by this much, and rounding leaves some even without noise.
    scatter = 1 / np.sqrt(5 * (data.device_voltage.size - 1))
    least = max(noise * (1 + 6 * scatter), 1e-18 * float((np.abs(mean) ** 2).mean()))
    if not variance.max() > least:
        raise FitError(
            "the reflection does not depend on the bias beyond its noise: nothing to fit; is the resonance in the "
            "band, and does the sweep reach beyond the gap?"
        )
    activity = (variance - np.median(variance)).clip(min=0)
    strong = activity > 0.5 * activity.max()
    weight = activity * strong
    centre = float((weight * data.frequency).sum() / weight.sum())
    spacing = float(np.abs(np.diff(data.frequency)).mean())
    return centre, 2 * np.pi * spacing * max(int(strong.sum()), 3)


def _zero_bias_resonance(values: Mapping[str, float]) -> float:
    """Resonance frequency at zero bias (Hz)."""
    device = DeviceModel(values, np.zeros(1))
    return float(device.resonator.resonance_frequency(device.junction, 0.0, device.temperature))


def _refuse_undetermined(result: FitResult) -> None:
    """A rate that its own uncertainty exceeds is no measurement; what was derived from it would be none either."""
    for name in ("damping_line", "damping_junction"):
        rate = result[name]
        if not rate.sigma < rate.value:
            raise FitError(
                f"the traces do not determine {name} ({rate.value:.3g} ± {rate.sigma:.3g} 1/s): are there biases on "
                "both sides of the gap, is the resonance in the band, is the phase that of a network analyzer?"
            )
