"""Arrays of numbers, and conversion of array-likes (lists, pandas, xarray, integers), with errors that name them."""

from numbers import Complex as Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labnis.fit.result import FitError

__all__ = [
    "FEWER_POINTS",
    "FEWEST_POINTS",
    "MANY_POINTS",
    "Bool",
    "Complex",
    "Real",
    "check_numbers",
    "complex_array",
    "curve",
    "evenly_spread",
    "real_array",
    "real_columns",
]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Bool = NDArray[np.bool_]

#: A curve of fewer points is not fitted.
FEWEST_POINTS = 10


def _numbers(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise FitError(f"{name} is not an array of numbers: {error}") from error
    others = [value for value in array.flat if not isinstance(value, Number)] if array.dtype == object else []
    if array.dtype == object and not others:
        array = np.asarray(array.tolist())  # numbers in an array of objects, as pandas makes them
    if array.dtype.kind not in "biufc":
        example = next(iter([*others, *array.ravel()[:1]]), None)
        raise FitError(
            f"{name} contains {type(example).__name__} values ({example!r}); numbers are needed: convert it first, "
            "and give NaN where nothing was measured"
        )
    if np.ma.isMaskedArray(values):  # a masked value was not measured
        return np.where(np.ma.getmaskarray(values), np.nan, array)
    return array


def real_array(name: str, values: ArrayLike, *, advice: str = "pass its real part") -> Real:
    """Return `values` as float64; FitError, naming `name`, for text, objects and complex numbers."""
    array = _numbers(name, values)
    if np.iscomplexobj(array):
        raise FitError(f"{name} is complex and real numbers are needed; {advice}")
    return np.asarray(array, dtype=np.float64)


def complex_array(name: str, values: ArrayLike) -> Complex:
    """Return `values` as complex128; FitError, naming `name`, for text, objects and real numbers."""
    array = _numbers(name, values)
    if not np.iscomplexobj(array):
        raise FitError(f"{name} is real; amplitude and phase are needed: read the complex trace, not its magnitude")
    return np.asarray(array, dtype=np.complex128)


def real_columns(*, advice: str = "pass its real part", **columns: ArrayLike) -> tuple[Real, ...]:
    """Return one-dimensional columns of equal length as float64; FitError where they are not."""
    arrays = {name: real_array(name, values, advice=advice) for name, values in columns.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) > 1 or len(next(iter(shapes))) != 1:
        found = ", ".join(f"{name} has shape {array.shape}" for name, array in arrays.items())
        raise FitError(f"{found}; columns of one dimension and equal length are needed")
    return tuple(arrays.values())


def curve(what: str, *, advice: str = "pass its real part", **columns: ArrayLike) -> tuple[Real, ...]:
    """Return the points of `columns` at which all of them are finite; FitError with too few for `what`."""
    arrays = real_columns(advice=advice, **columns)
    usable = np.isfinite(arrays).all(axis=0)
    if usable.sum() < FEWEST_POINTS:
        lost = f"; {(~usable).sum()} of {usable.size} have no finite reading" if not usable.all() else ""
        raise FitError(
            f"{usable.sum()} usable points are too few for {what}; at least {FEWEST_POINTS} are needed{lost}"
        )
    return tuple(array[usable] for array in arrays)


#: A fit of more points than these starts at one of fewer, which takes most of the steps in a small part of the time.
MANY_POINTS, FEWER_POINTS = 2000, 401


def evenly_spread(size: int, count: int) -> NDArray[np.intp]:
    """Return `count` indices, or fewer, that are spread evenly over `size` data, both ends included."""
    return np.unique(np.linspace(0, size - 1, count).round().astype(np.intp))


def check_numbers(**numbers: float) -> None:
    """Raise FitError for numbers that are negative or not finite."""
    for name, value in numbers.items():
        if not 0 <= value < np.inf:
            raise FitError(f"{name} is {value}; it must be finite and 0 or more")
