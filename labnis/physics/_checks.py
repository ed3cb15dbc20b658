"""Argument checks shared by the physics: a wrong value is an error with its name, never a silent NaN."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["below_infinity", "broadcast", "finite", "non_negative", "positive", "positive_scalar"]


def finite(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """`values` as floats, or ValueError naming the first value that is not finite."""
    array = np.asarray(values, dtype=np.float64)
    return _checked(np.isfinite(array), name, array, "finite numbers are needed")


def broadcast(**arrays: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """The arrays with one common shape, or ValueError naming each with its own."""
    try:
        return np.broadcast_arrays(*arrays.values())
    except ValueError:
        shapes = ", ".join(f"{name} has shape {values.shape}" for name, values in arrays.items())
        raise ValueError(f"{shapes}; shapes are needed that broadcast against each other") from None


def below_infinity(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """`values` as floats, finite or −inf, or ValueError naming the first that is not."""
    array = np.asarray(values, dtype=np.float64)
    return _checked(array < np.inf, name, array, "it must be a finite number or -inf")


def non_negative(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """`values` as floats, or ValueError naming the first negative or non-finite value."""
    array = finite(name, values)
    return _checked(array >= 0, name, array, "it must be 0 or more")


def positive(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """`values` as floats, or ValueError naming the first that is not finite and positive."""
    array = finite(name, values)
    return _checked(array > 0, name, array, "it must be positive")


def _checked(right: NDArray[np.bool_], name: str, array: NDArray[np.float64], allowed: str) -> NDArray[np.float64]:
    if not right.all():
        raise ValueError(f"{name} contains {array[~right].flat[0]}; {allowed}")
    return array


def positive_scalar(name: str, value: float, *, zero: bool = False) -> None:
    """Raise ValueError unless `value` is finite and positive (or, with `zero`, not negative)."""
    if not np.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} is {value}; it must be finite and {'0 or more' if zero else 'positive'}")
