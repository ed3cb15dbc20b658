"""Set-points of a run as plain arrays: all set-point dimensions flattened, in the order of measurement."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray
from numpy.typing import ArrayLike, NDArray

from labnis.fit.arrays import Real
from labnis.fit.result import FitError

__all__ = ["Points"]

_TRACE = "frequency"


@dataclass(frozen=True)
class Points:
    """Columns of `data` as arrays of shape (points,), and traces of shape (points, frequencies)."""

    data: xarray.Dataset

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column or trace; FitError names the columns there are."""
        column = self._column(name)
        return np.asarray(column.values).reshape(-1, *column.shape[len(self.dims) :])

    def __contains__(self, name: str) -> bool:
        """Whether there is such a column with a finite value."""
        return name in self.data.variables and bool(np.isfinite(self.data[name].values).any())

    @property
    def dims(self) -> tuple[str, ...]:
        """Set-point dimensions, in the order of the device voltage."""
        return tuple(str(dim) for dim in self._known("device_voltage").dims)

    @property
    def frequency(self) -> Real:
        """Frequencies (Hz) of the traces."""
        return np.asarray(self._known(_TRACE).values, dtype=np.float64)

    def measured(self, *names: str) -> NDArray[np.intp]:
        """Indices of the points at which all columns `names` were measured, in the order of measurement."""
        finite = [np.isfinite(self[name]).reshape(self[name].shape[0], -1).any(axis=1) for name in names]
        found = np.flatnonzero(np.logical_and.reduce(finite))
        if "time" not in self:
            return found
        # The rows of a grid are ordered by set-point; a sweep downwards was measured the other way round.
        return found[np.argsort(self["time"][found], kind="stable")]

    @property
    def unfinished(self) -> bool:
        """Whether planned biases were not measured, as in an interrupted run; False where that is not known."""
        return "bias" in self and "time" in self and not bool(np.isfinite(self["time"]).all())

    def like(self, name: str, values: ArrayLike) -> NDArray[Any]:
        """Return `values`, one entry for each point, in the shape of the column `name` of the data."""
        column = self._column(name)
        grid = xarray.DataArray(np.asarray(values).reshape(column.shape), dims=column.dims)
        return np.asarray(grid.transpose(*self._known(name).dims).values)

    def _column(self, name: str) -> xarray.DataArray:
        column = self._known(name)
        if column.dims[: len(self.dims)] == self.dims:  # as most are: a fit asks for hundreds of them
            return column
        axes = [dim for dim in column.dims if dim not in self.dims]
        return column.broadcast_like(self._known("device_voltage")).transpose(*self.dims, *axes)

    def _known(self, name: str) -> xarray.DataArray:
        if name not in self.data.variables:
            raise FitError(f"the run has no column {name!r}; it has {', '.join(map(str, self.data.variables))}")
        return self.data[name]
