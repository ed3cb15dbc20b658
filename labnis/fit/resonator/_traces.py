"""Reflection traces at many biases, and the model of them with the background eliminated."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnis.fit.arrays import Complex, Real, complex_array, evenly_spread
from labnis.fit.models import Suspect
from labnis.fit.resonator._biases import JITTER, KERR, PROPORTIONAL, TRACE_JITTER, BiasTraces, check_hertz
from labnis.fit.resonator._drift import Tangent, best_factor, drift_basis
from labnis.fit.resonator._electrons import Island
from labnis.fit.resonator._tunnelling import Tunnelling, tunnelling, tunnelling_slopes
from labnis.fit.solver import TraceModel, as_real
from labnis.physics import NoOperatingPointError

__all__ = ["ReflectionData", "Response", "Traces"]


@dataclass(frozen=True)
class ReflectionData(BiasTraces):
    """Reflection traces at n biases and m frequencies.

    Attributes
    ----------
    device_voltage
        Voltage across the SINIS pair (V), shape (n,).
    frequency
        Probe frequencies (Hz), shape (m,), increasing.
    s11
        As a network analyzer measures it (phase convention e^{+jωt}), shape (n, m).

    Raises
    ------
    FitError
        For arrays that do not fit together, real `s11`, or frequencies that do not increase or are not in Hz.

    """

    traces = "s11"

    s11: Complex

    def __post_init__(self) -> None:
        object.__setattr__(self, "s11", complex_array("s11", self.s11))
        super().__post_init__()
        check_hertz(self.frequency)

    def conjugate(self) -> "ReflectionData":
        """Return the data with the phase convention e^{−iωt} of the model."""
        return replace(self, s11=self.s11.conj())

    def thinned(self, biases: int, frequencies: int) -> "ReflectionData":
        """Return about `biases` × `frequencies` of the data, evenly spread, for a coarse search."""
        rows = evenly_spread(self.device_voltage.size, biases)
        columns = evenly_spread(self.frequency.size, frequencies)
        chosen = self.s11[np.ix_(rows, columns)]
        return ReflectionData(self.device_voltage[rows], self.frequency[columns], chosen, junctions=self.junctions)


@dataclass(frozen=True)
class Traces(TraceModel):
    """The traces with their background eliminated, as functions of the parameters `names`.

    For given parameters the best background is b = Σ Γ̄·s / Σ|Γ|² at each frequency, with sums over the biases. Each Γ
    has the best complex factor of its trace, by the columns of the `drift`, shape (n, terms): see `_drift`.
    """

    data: ReflectionData
    drift: Real = field(kw_only=True)
    island: Island | None = None

    @classmethod
    def of(cls, data: ReflectionData, names: Iterable[str], terms: int = 0, island: Island | None = None) -> "Traces":
        """All of the `data`, in the phase convention of the model, with a drift of so many terms.

        `island` is that at their biases, as of `tunnelling`.
        """
        drift = drift_basis(data.course, terms)
        mask = np.ones(2 * data.s11.size, bool)
        return cls(data.s11, tuple(names), data, mask=mask, drift=drift, island=island)

    def suspects(self, x: Real) -> list[Suspect]:
        """A frequency that depends on the power in the resonator, or is another one in each trace."""
        response, values = Response.of(self.values(x), self.data, self.island), self.values(x)
        shift = next(response.slopes(values, self.data, ("ohmic_frequency",)))
        power = np.abs(response.response) ** 2
        traces = np.eye(self.s11.shape[0])[:, :, None]
        gamma = response.gamma * self._factor(response.gamma)[:, None]
        columns = [self._changed(gamma, shift * each) for each in (power / power.max(), *traces)]
        return [Suspect(KERR, columns[0][:, None]), Suspect(TRACE_JITTER, np.stack(columns[1:], axis=-1))]

    def noise_shapes(self, x: Real) -> dict[str, Real]:
        by_frequency = np.abs(self.jacobian(x)[:, self.names.index("ohmic_frequency")])
        return {JITTER: by_frequency, PROPORTIONAL: np.tile(np.abs(self.model(x)).ravel(), 2)}

    def _changed(self, gamma: Complex, change: Complex) -> Real:
        """Change of the residuals by that of Γ, which the background follows."""
        step = 1e-6 / np.abs(change).max()
        more, less = gamma + step * change, gamma - step * change
        return np.asarray(as_real(self._background(less) * less - self._background(more) * more) / (2 * step))

    def place(self, datum: int) -> str:
        return self.data.place(datum % self.s11.size)

    def model(self, x: Real) -> Complex:
        """Background times Γ and its factor, shape (n, m)."""
        gamma = Response.of(self.values(x), self.data, self.island).gamma
        gamma = gamma * self._factor(gamma)[:, None]
        return self._background(gamma) * gamma

    def drifts(self, x: Real, noise: float) -> tuple[Complex, Real]:
        """Logarithm of the factor of each trace, and the σ of both of its parts, shape (n,)."""
        gamma = Response.of(self.values(x), self.data, self.island).gamma
        factor = self._factor(gamma)
        # A phase that turns by more than a half turn is continued.
        logarithm = np.log(np.abs(factor)) + 1j * np.unwrap(np.angle(factor))
        return logarithm, self._tangent(gamma * factor[:, None]).sigma(noise)

    def residuals(self, x: Real) -> Real:
        try:
            return as_real(self.s11 - self.model(x))
        except NoOperatingPointError:
            # Not finite: the solver takes a shorter step.
            return np.full(self.mask.shape, np.nan)

    def jacobian(self, x: Real) -> Real:
        values = self.values(x)
        response = Response.of(values, self.data, self.island)
        factor = self._factor(response.gamma)[:, None]
        gamma = response.gamma * factor
        background, power = self._background(gamma), self._power(gamma)
        tangent = self._tangent(gamma)
        columns = []
        for slope in response.slopes(values, self.data, self.names):
            change = slope * factor
            # The background follows each change of Γ, and so do the factors of the traces.
            own = self._over_biases(change.conj() * self.s11 - 2 * background * (gamma.conj() * change).real)
            column = -background * change - own / power * gamma
            columns.append(as_real(tangent.rest(column) if self.drift.size else column))
        return np.stack(columns, axis=-1)

    def _factor(self, gamma: Complex) -> Complex:
        """Factor of each trace for Γ without it, shape (n,)."""
        return best_factor(self.drift, self.s11, lambda factor: self._tangent(gamma * factor[:, None]))

    def _tangent(self, gamma: Complex) -> Tangent:
        return Tangent(self.drift, self._background(gamma) * gamma, gamma, self.counts.astype(np.float64))

    def _background(self, gamma: Complex) -> Complex:
        return np.asarray(self._over_biases(gamma.conj() * self.s11) / self._power(gamma))

    def _power(self, gamma: Complex) -> Real:
        """Σ|Γ|², and 1 at a frequency where no datum counts."""
        power = self._over_biases(gamma.real**2 + gamma.imag**2)
        return np.where(power > 0, power, 1.0)

    def _over_biases(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum of the data that count at each frequency."""
        return np.asarray(np.einsum("ij,ij->j", self.counts, values))


@dataclass(frozen=True)
class Response:
    """Γ = −1 + coupling·response at all biases and frequencies, shape (n, m), with response = 1/(γ_Σ − 2iδ)."""

    junctions: Tunnelling
    coupling: complex
    response: Complex
    island: Island | None

    @classmethod
    def of(cls, values: dict[str, float], data: ReflectionData, island: Island | None = None) -> "Response":
        """Γ of the parameters in `values` at the biases and frequencies of `data`."""
        junctions = tunnelling(values, data.device_voltage, data.array, island)
        rate = values["damping_junction"]
        total = values["damping_line"] + values["damping_excess"] + rate * junctions.damping
        detuning = 2 * np.pi * (data.frequency - values["ohmic_frequency"]) - rate * junctions.shift[:, None]
        coupling = (1 + complex(values["fano_real"], values["fano_imag"])) * values["damping_line"]
        return cls(junctions, coupling, np.asarray(1 / (total[:, None] - 2j * detuning)), island)

    @property
    def gamma(self) -> Complex:
        """Γ, shape (n, m)."""
        return np.asarray(self.coupling * self.response - 1)

    def slopes(self, values: dict[str, float], data: ReflectionData, names: tuple[str, ...]) -> Iterator[Complex]:
        """∂Γ/∂(parameter) for each of `names`, of shape (n, m)."""
        rate = values["damping_junction"]
        by_width = -self.coupling * self.response**2
        # The effect of each parameter on γ_Σ − 2iδ at each bias.
        width: dict[str, Any] = {
            name: rate * (slope.damping + 2j * slope.shift)
            for name, slope in tunnelling_slopes(values, data.device_voltage, data.array, self.island).items()
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
