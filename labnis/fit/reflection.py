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

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from labnis.fit._biases import refuse_impossible_biases
from labnis.fit._derived import with_derived
from labnis.fit._least_squares import Parameter, joined, solve
from labnis.fit._resonator_model import (
    JUNCTION_NAMES,
    Tunnelling,
    junction_parameters,
    tunnelling,
    tunnelling_slopes,
)
from labnis.fit.result import FitError, FitResult

__all__ = ["FANO_REAL", "ReflectionData", "fit_reflection"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

MODEL = "reflection at all biases"

# Assumed real part of the Fano factor and its standard uncertainty; see the module's docstring.
FANO_REAL = (1.0, 0.02)

# An earlier fit whose residuals are larger than their differences by this factor is no start.
_RANDOM = 1.2

# Network analyzers begin above (Hz); frequencies in GHz do not.
_LOWEST_FREQUENCY = 1e3

_QUESTIONS = (
    "are there biases on both sides of the gap, is the resonance in the band, is the phase that of a network analyzer?"
)


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
        if not np.iscomplexobj(self.s11):
            raise FitError("s11 is real; amplitude and phase are needed: read the complex trace, not its magnitude")
        if np.iscomplexobj(self.device_voltage) or np.iscomplexobj(self.frequency):
            raise FitError("device_voltage and frequency must be real")
        if not (np.diff(self.frequency) > 0).all():
            raise FitError("frequency does not increase from one point to the next; sort the traces by frequency")
        if self.frequency.size and not self.frequency[0] > _LOWEST_FREQUENCY:
            raise FitError(f"frequency begins at {self.frequency[0]:.6g}; give it in Hz")

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
        With fewer than four usable traces, quantities in other units, no bias dependence beyond the noise, no
        convergence, or a rate that the traces do not determine.

    """
    usable = data.finite()
    if usable.device_voltage.size < 4:
        raise FitError(f"{usable.device_voltage.size} usable traces are too few; at least 4 biases are needed")
    if prior is not None:
        refuse_impossible_biases(usable.device_voltage, prior["gap"].value, "next to nothing changes below 1")
    # Network analyzers count phase as e^{+jωt}; the model follows physics.
    usable = ReflectionData(usable.device_voltage, usable.frequency, usable.s11.conj())
    junction = junction_parameters(prior or start, usable.device_voltage)
    rates = _search(usable, junction, start)
    parameters = [*rates, *junction]
    traces = _Traces.of(usable, (p.name for p in parameters))
    try:
        solution = solve(parameters, traces, absorbed=2 * usable.frequency.size, prior=_with_fano(prior))
    except FitError as error:
        raise FitError(f"{error}: {_QUESTIONS}") from error
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


@dataclass(frozen=True)
class _Traces:
    """The traces with their background eliminated, as functions of the parameters `names`.

    For given parameters the best background is b = Σ Γ̄·s / Σ|Γ|² at each frequency, sums being over the biases.
    """

    data: ReflectionData
    names: tuple[str, ...]
    counts: NDArray[np.bool_]

    @classmethod
    def of(cls, data: ReflectionData, names: Iterable[str]) -> "_Traces":
        """All of the data."""
        return cls(data, tuple(names), np.ones(data.s11.shape, bool))

    @property
    def kept(self) -> NDArray[np.bool_]:
        return np.concatenate([self.counts.ravel()] * 2)

    def keeping(self, kept: NDArray[np.bool_]) -> "_Traces":
        # Of a complex number, both parts count or none.
        real, imaginary = kept.reshape(2, *self.counts.shape)
        return replace(self, counts=real & imaginary)

    def residuals(self, x: Real) -> Real:
        gamma = _Response.of(self._values(x), self.data).gamma
        return _as_real(self.data.s11 - self._background(gamma) * gamma)

    def jacobian(self, x: Real) -> Real:
        values = self._values(x)
        response = _Response.of(values, self.data)
        gamma, s11 = response.gamma, self.data.s11
        background = self._background(gamma)
        power = self._power(gamma)
        columns = []
        for change in response.slopes(values, self.data, self.names):
            # The background follows each change of Γ.
            own = self._over_biases(change.conj() * s11 - 2 * background * (gamma.conj() * change).real)
            columns.append(_as_real(-background * change - own / power * gamma))
        return np.stack(columns, axis=-1)

    def _background(self, gamma: Complex) -> Complex:
        return np.asarray(self._over_biases(gamma.conj() * self.data.s11) / self._power(gamma))

    def _power(self, gamma: Complex) -> Real:
        """Σ|Γ|², and 1 at a frequency where nothing counts."""
        power = self._over_biases(gamma.real**2 + gamma.imag**2)
        return np.where(power > 0, power, 1.0)

    def _over_biases(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum of what counts at each frequency."""
        return np.asarray(np.einsum("ij,ij->j", self.counts, values))

    def _values(self, x: Real) -> dict[str, float]:
        return dict(zip(self.names, map(float, x), strict=True))


@dataclass(frozen=True)
class _Response:
    """Γ = −1 + coupling·response at all biases and frequencies, shape (n, m), with response = 1/(γ_Σ − 2iδ)."""

    junctions: Tunnelling
    coupling: complex
    response: Complex

    @classmethod
    def of(cls, values: dict[str, float], data: ReflectionData) -> "_Response":
        junctions = tunnelling(values, data.device_voltage)
        rate = values["damping_junction"]
        total = values["damping_line"] + values["damping_excess"] + rate * junctions.damping
        detuning = 2 * np.pi * (data.frequency - values["ohmic_frequency"]) - rate * junctions.shift[:, None]
        coupling = (1 + complex(values["fano_real"], values["fano_imag"])) * values["damping_line"]
        return cls(junctions, coupling, np.asarray(1 / (total[:, None] - 2j * detuning)))

    @property
    def gamma(self) -> Complex:
        return np.asarray(self.coupling * self.response - 1)

    def slopes(self, values: dict[str, float], data: ReflectionData, names: tuple[str, ...]) -> Iterator[Complex]:
        """∂Γ/∂(parameter), each of shape (n, m)."""
        rate = values["damping_junction"]
        by_width = -self.coupling * self.response**2
        # What each parameter does to γ_Σ − 2iδ at each bias.
        width: dict[str, Any] = {
            name: rate * (slope.damping + 2j * slope.shift)
            for name, slope in tunnelling_slopes(values, data.device_voltage).items()
        }
        width["damping_junction"] = self.junctions.damping + 2j * self.junctions.shift
        width["ohmic_frequency"] = width["ohmic_frequency"] + 4j * np.pi
        width["damping_line"] = width["damping_excess"] = np.ones_like(data.device_voltage)
        coupling = {
            "damping_line": self.coupling / values["damping_line"],
            "fano_real": values["damping_line"],
            "fano_imag": 1j * values["damping_line"],
        }
        for name in names:
            change = by_width * width[name][:, None] if name in width else np.zeros_like(by_width)
            yield change + coupling.get(name, 0.0) * self.response


def _as_real(rest: Complex) -> Real:
    return np.concatenate([rest.real.ravel(), rest.imag.ravel()])


def _with_fano(prior: FitResult | None) -> FitResult:
    """The prior of the junction parameters, joined by the assumption about Re φ."""
    value, sigma = FANO_REAL
    fano = FitResult("prior", ("fano_real",), ("1",), np.array([value]), np.diag([sigma**2]), 0.0, 0, 0.0)
    return fano if prior is None else joined(fano, prior.select(JUNCTION_NAMES))


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
    v = start.by_name
    return _rate_parameters(
        v["damping_line"], v["damping_excess"], v["damping_junction"], v["ohmic_frequency"],
        complex(v["fano_real"], v["fano_imag"]),
    )  # fmt: skip


def _search(data: ReflectionData, junction: list[Parameter], start: FitResult | None) -> list[Parameter]:
    """The earlier fit, where it leaves but noise, or a coarse grid of rates where the bias changes the traces most."""
    coarse = data.thinned(15, 101)
    fixed = {p.name: p.start for p in junction}

    def rest(candidate: list[Parameter]) -> Real:
        values = fixed | {p.name: p.start for p in candidate}
        return _Traces.of(coarse, values).residuals(np.array([*values.values()]))

    if start is not None:
        earlier = _rates_from(start)
        left = rest(earlier)
        # Of random numbers, neighbours differ by √2 of what they are.
        if np.abs(left).mean() < _RANDOM * np.abs(np.diff(left)).mean() / np.sqrt(2):
            return earlier
    frequency, width = _active_region(data)
    grid = [
        (factor * width / (line + excess + tunnelling), line, excess, tunnelling, shift * width / (2 * np.pi))
        for factor in (0.3, 1.0, 3.0)
        for line, excess, tunnelling in ((1, 0.1, 1), (1, 0.1, 4), (1, 0.1, 0.3), (1, 1, 2), (0.3, 1, 2), (1, 0.1, 12))
        for shift in (-0.3, 0.0, 0.3)
    ]
    candidates = [
        _rate_parameters(line * unit, excess * unit, tunnelling * unit, frequency + shift, 1.0)
        for unit, line, excess, tunnelling, shift in grid
    ]
    # Not squared: a glitch is not to choose the start.
    return min(candidates, key=lambda candidate: float(np.abs(rest(candidate)).sum()))


def _active_region(data: ReflectionData) -> tuple[float, float]:
    """Centre (Hz) and width (rad/s) of the band in which the traces depend on the bias."""
    mean = data.s11.mean(axis=0)
    # Without the background's phase, however long the cables.
    change = (data.s11 - mean) * np.exp(-1j * np.angle(mean))
    # Medians of three frequencies and of three biases know nothing of a glitch.
    quiet = median_filter(np.abs(change) ** 2, size=3, mode="nearest")
    variance = np.convolve(quiet.mean(axis=0), np.ones(5) / 5, mode="same")
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
    shift = values["damping_junction"] * tunnelling(values, np.zeros(1)).shift[0]
    return float(values["ohmic_frequency"] + shift / (2 * np.pi))


def _refuse_undetermined(result: FitResult) -> None:
    """A rate that its own uncertainty exceeds is no measurement; what was derived from it would be none either."""
    for name in ("damping_line", "damping_junction"):
        rate = result[name]
        if not rate.sigma < rate.value:
            raise FitError(
                f"the traces do not determine {name} ({rate.value:.3g} ± {rate.sigma:.3g} 1/s): {_QUESTIONS}"
            )
