"""Keysight 34465A and 34470A multimeters as meters: QCoDeS's driver with checks; see `drivers.keysight_344xx`."""

from typing import ClassVar

from qcodes.instrument_drivers.Keysight import Keysight34465A as QcodesKeysight34465A

from drivers.keysight_344xx import Truevolt

__all__ = ["Keysight34465A"]


class Keysight34465A(Truevolt, QcodesKeysight34465A):  # type: ignore[misc]  # `read` returns one number, not an array
    """A 34465A or 34470A that fills the role of `drivers.roles.Meter` and is prepared as a `RangedMeter`."""

    models: ClassVar[tuple[str, ...]] = ("34465A", "34470A")
    current_ranges: ClassVar[tuple[float, ...]] = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0)
    has_aperture: ClassVar[bool] = True
