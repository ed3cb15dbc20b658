"""JSON of metadata: mappings with NumPy numbers, complex numbers, times, paths, dataclasses."""

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any

import numpy as np

from labnis.storage.errors import LayoutError

__all__ = ["json_text"]


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
