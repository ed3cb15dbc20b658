"""Keysight 34461A and 34460A multimeters as meters: QCoDeS's driver with checks; see `drivers.keysight_344xx`."""

from typing import ClassVar

from qcodes.instrument_drivers.Keysight import Keysight34461A as QcodesKeysight34461A

from drivers.keysight_344xx import Truevolt

__all__ = ["Keysight34461A"]


class Keysight34461A(Truevolt, QcodesKeysight34461A):  # type: ignore[misc]  # `read` returns one number, not an array
    """A 34461A or 34460A that fills the role of `drivers.roles.Meter` and is prepared as a `RangedMeter`."""

    models: ClassVar[tuple[str, ...]] = ("34461A", "34460A")
    current_ranges: ClassVar[tuple[float, ...]] = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0)
    has_aperture: ClassVar[bool] = False
