"""Texts of metadata: ISO 8601 times, and JSON of mappings with NumPy numbers, times, paths and dataclasses."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np

from labnis.storage.errors import LayoutError

__all__ = ["checked_time", "json_text"]

# A time outside of these years cannot be that of a measurement, nor be shown in every time zone.
_YEARS = range(1970, 2200)


def _jsonable(value: Any) -> Any:
    """Convert values of types that `json` does not support."""
    form: Any
    match value:
        case np.generic() | np.ndarray():
            form = value.tolist()
        case complex():
            form = {"real": value.real, "imag": value.imag}
        case date():
            form = value.isoformat()
        case PurePath():
            form = str(value)
        case Enum():
            form = value.value
        case Mapping():
            form = dict(value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            form = asdict(value)
        case _:
            raise TypeError(f"{value!r} of type {type(value).__name__} has no form in JSON")
    return form


def json_text(key: str, value: Any) -> str:
    """JSON of `value` in ASCII, which HDF5 can store for any text in it.

    Raises
    ------
    LayoutError
        The message names `key` and the value that cannot be stored.

    """
    try:
        return json.dumps(value, default=_jsonable)
    except (TypeError, ValueError) as error:
        raise LayoutError(f"{key}: {error}") from error


def checked_time(value: Any) -> datetime:
    """Parse an ISO 8601 time with its UTC offset.

    Raises
    ------
    ValueError
        It is no such text, has no offset, or is outside of 1970 to 2199.

    """
    try:
        found = datetime.fromisoformat(value)
    except TypeError as error:
        raise ValueError(f"{value!r} is not a time; ISO 8601 text is needed") from error
    if found.utcoffset() is None or found.year not in _YEARS:
        raise ValueError(f"the time {value!r} has no UTC offset or is outside of {_YEARS.start} to {_YEARS.stop - 1}")
    return found
