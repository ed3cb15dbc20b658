"""Models that the solver fits: data, and the expectation for them as a function of parameters."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from labnis.fit.arrays import Bool, Complex, Real
from labnis.fit.estimate import number_text

__all__ = ["CurveModel", "Model", "Suspect", "TraceModel", "as_real"]


class Suspect(NamedTuple):
    """Something that a model may lack: its text, in which {} stands for its size.

    `columns` (data, k) is what it does to the residuals, for a size of 1; sizes within `plausible` are told. What is
    `positive` has one column, whose size cannot be negative.
    """

    text: str
    columns: Real
    plausible: tuple[float, float] = (0.0, np.inf)
    positive: bool = False


@dataclass(frozen=True)
class Model(ABC):
    """Data and the expectation for them as a function of the parameter vector.

    Attributes
    ----------
    mask
        Which data count, one-dimensional, in the order of measurement.

    """

    mask: Bool = field(kw_only=True)

    def with_mask(self, mask: Bool) -> Self:
        """Return the same model with another mask."""
        return replace(self, mask=mask)

    @abstractmethod
    def residuals(self, x: Real) -> Real:
        """Data minus expectation, of equal standard deviation but not divided by it; also where the mask is False."""

    @abstractmethod
    def jacobian(self, x: Real) -> Real:
        """∂(residuals)/∂x, shape (data, parameters)."""

    def rows(self) -> NDArray[np.intp]:
        """Numbers of all data, shape (traces, points), such that neighbours in a row are neighbours on its axis."""
        return np.arange(self.mask.size)[None]

    def residuals_at_start(self, x: Real) -> Real:
        """Residuals at parameters that are not fitted yet, such that one datum changes no others."""
        return self.residuals(x)

    def suspects(self, _x: Real) -> Sequence[Suspect]:
        """What the model may lack."""
        return ()

    def noise_shapes(self, _x: Real) -> Mapping[str, Real]:
        """Kinds of noise that are not the same everywhere, in words → their standard deviation, any unit, (data,)."""
        return {}

    def place(self, datum: int) -> str:
        """Where a datum was measured, by its number, in words."""
        return f"no. {datum}"


class CurveModel(Model):
    """A model of one reading at each voltage."""

    @property
    @abstractmethod
    def device_voltage(self) -> Real:
        """Voltages across the device (V), shape (n,)."""

    @abstractmethod
    def by_voltage(self, x: Real) -> Real:
        """∂(residuals)/∂(device voltage) (1/V times their unit), shape (n,)."""

    @abstractmethod
    def signal(self, x: Real) -> Real:
        """Expected readings, weighted like the residuals, shape (n,)."""

    def noise_shapes(self, x: Real) -> Mapping[str, Real]:
        """Jitter of the voltage, and noise in proportion to the reading."""
        return {
            "a voltage that jitters from point to point": np.abs(self.by_voltage(x)),
            "noise in proportion to the reading": np.abs(self.signal(x)),
        }

    def rows(self) -> NDArray[np.intp]:
        """All data by rising voltage, as one row."""
        return np.argsort(self.device_voltage, kind="stable")[None]

    def place(self, datum: int) -> str:
        """The voltage of a datum, in words."""
        return number_text(float(self.device_voltage[datum]), "V")

    @abstractmethod
    def with_readings(self, voltage: Real, measured: Real) -> Self:
        """Return the same model of other readings at voltages (V) that differ a little, both (n,)."""


@dataclass(frozen=True)
class TraceModel(Model):
    """A model of complex data `s11` with named parameters; residuals are all real parts, then all imaginary parts."""

    s11: Complex
    names: tuple[str, ...]

    @property
    def counts(self) -> Bool:
        """Which complex data count, shape of `s11`."""
        return self.mask[: self.s11.size].reshape(self.s11.shape)

    def with_mask(self, mask: Bool) -> Self:
        """Return the same model with another mask; a complex datum counts if both of its parts do."""
        return super().with_mask(np.tile(mask.reshape(2, -1).all(axis=0), 2))

    def rows(self) -> NDArray[np.intp]:
        """A row for the real parts of each trace, then one for its imaginary parts."""
        return np.arange(self.mask.size).reshape(-1, self.s11.shape[-1])

    def values(self, x: Real) -> dict[str, float]:
        """Parameter → value."""
        return dict(zip(self.names, map(float, x), strict=True))


def as_real(values: Complex) -> Real:
    """All real parts, then all imaginary parts, one-dimensional."""
    return np.concatenate([values.real.ravel(), values.imag.ravel()])
