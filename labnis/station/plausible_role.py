"""Checks of everything that an instrument of any class returns in a role, beside those of its own driver.

A lab's class may return what its instrument happened to send. What the role defines is checked here, in one place:
types, shapes, finite numbers, ranges and limits that were requested or are in use, and the frequency axis.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Complex, Real
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from drivers.answers import DESTRUCTIVE_POWER, OVERFLOW, largest_ratio, measured
from drivers.capabilities import Segment
from drivers.errors import OverloadError, ReadingError
from labnis.station.amplifier import StatedAmplifier

__all__ = ["CHECKS", "PlausibleRole"]

READABLE = 1.2
"""A reading beyond this many times a range, a full scale or a current limit is none."""

AXIS_TOLERANCE = 0.5
"""Largest deviation of the ends of a frequency axis from the request, per distance of two of its points."""

Request = Mapping[str, Any]
Check = Callable[["PlausibleRole", str, Any], None]


class PlausibleRole:
    """What fills the role of a bias source, a lock-in or an analyzer; what it returns is checked.

    Parameters
    ----------
    player
        The instrument, or a part of it.
    kind
        Kind of the role.
    described
        Role, and name and address of the instrument, for messages.

    """

    def __init__(self, player: Any, kind: str, described: str) -> None:
        self._player = player
        self._checks = CHECKS[kind]
        self._described = described
        self.request: Request = {}
        """Arguments of the last `prepare`; for segments their number of points and their `axis` (Hz)."""
        self.amplifier: StatedAmplifier | None = None
        """The amplifier that a lock-in reads."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_player"], name)
        if name == "prepare":
            return self._remembering(found)
        if name == "prepare_segments" and "frequencies" in self._checks:
            return self._remembering_segments(found)
        return self._checked(name, found) if name in self._checks else found

    def _remembering(self, prepare: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(prepare)
        def prepared(**request: Any) -> None:
            self.request = {}
            if self.amplifier is not None:
                self.amplifier.prepare()
            prepare(**request)
            self.request = request

        return prepared

    def _remembering_segments(self, prepare: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(prepare)
        def prepared(segments: Sequence[Segment], **request: Any) -> None:
            self.request = {}
            prepare(segments, **request)
            axis = np.concatenate([np.linspace(*_ends(one.center, one.span), one.points) for one in segments])
            self.request = request | {"points": axis.size, "axis": axis}

        return prepared

    def _checked(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def checked(*arguments: Any) -> Any:
            found = function(*arguments)
            self._checks[name](self, f"{name}()", found)
            if self.amplifier is not None and name == "read":
                self.amplifier.check()
            return found

        return checked

    def refused(self, what: str, problem: str) -> ReadingError:
        """The error of an impossible value."""
        return ReadingError(
            self._described,
            f"{what} {problem.removesuffix('.')}.",
            "An answer may have been late or wrong, or the driver is wrong (drivers/roles.py says what is needed).",
        )

    def number(self, what: str, value: Any, largest: float = math.inf, smallest: float = -math.inf) -> None:
        """Require a finite real number from `smallest` to `largest`."""
        found = _real(value)
        if found is None:
            raise self.refused(what, f"returned {str(value)[:80]!r}, which is not a number")
        measured(found, what, self._described)
        if not smallest <= found <= largest:
            raise self.refused(what, f"returned {found:g}; {smallest:g} to {largest:g} is possible")

    def array(self, what: str, values: Any, kinds: str) -> NDArray[Any]:
        """Require a finite array with one value per point that was requested."""
        shape = (self.request.get("points"),) if "points" in self.request else np.shape(values)[:1]
        if not isinstance(values, np.ndarray) or values.dtype.kind not in kinds or values.shape != shape:
            found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
            raise self.refused(what, f"returned {found}; an array of numbers of shape {shape} is needed")
        if not np.all(np.isfinite(values)):
            raise self.refused(what, "returned values that are not finite")
        if np.any(np.abs(values) >= OVERFLOW):
            raise OverloadError(self._described, f"{what} returned over-range markers.", "Choose a higher range.")
        return values


def _real(value: Any) -> float | None:
    """`value` as a float; None if it is no real number."""
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _source_reading(role: PlausibleRole, what: str, reading: Any) -> None:
    values = {
        name: _real(getattr(reading, name, math.nan if name.endswith("range") else None))
        for name in ("voltage", "current", "voltage_range", "current_range")
    }
    for name, value in values.items():
        if value is None:
            raise role.refused(what, f"returned {str(reading)[:80]!r}; its {name} is not a number")
    compliance = role.request.get("compliance", math.nan)
    role.number(f"{what}.voltage", values["voltage"], *_within(values["voltage_range"]))
    if not math.isnan(cast(float, values["current"])):  # NaN: the source does not measure it
        role.number(f"{what}.current", values["current"], *_within(values["current_range"], compliance))


def _source_readings(role: PlausibleRole, what: str, readings: Any) -> None:
    if not isinstance(readings, list):
        raise role.refused(what, f"returned {str(readings)[:80]!r}; a list of readings is needed")
    for reading in readings:
        _source_reading(role, what, reading)


def _within(*limits: float | None) -> tuple[float, float]:
    """Largest and smallest reading with these ranges and limits; any where none is known."""
    largest = READABLE * min((limit for limit in limits if limit is not None and limit > 0), default=math.inf)
    return largest, -largest


def _state(role: PlausibleRole, what: str, value: Any) -> None:
    if not (isinstance(value, bool | np.bool_) or (isinstance(value, int) and value in (0, 1))):
        raise role.refused(what, f"returned {str(value)[:80]!r}; True or False is needed")


def _level(role: PlausibleRole, what: str, value: Any) -> None:
    role.number(what, value)


def _time(role: PlausibleRole, what: str, value: Any) -> None:
    role.number(what, value, smallest=0.0)


def _signal(role: PlausibleRole, what: str, value: Any) -> None:
    if not isinstance(value, Complex):
        raise role.refused(what, f"returned {str(value)[:80]!r}, which is not a number")
    largest = READABLE * role.request.get("sensitivity", math.inf)
    for part, name in ((value.real, "X"), (value.imag, "Y")):
        role.number(f"{name} of {what}", part, largest, -largest)


def _ends(center: float, span: float) -> tuple[float, float]:
    return center - span / 2, center + span / 2


def _axis(role: PlausibleRole, what: str, values: Any) -> None:
    axis = role.array(what, values, "f")
    requested = role.request.get("axis")
    # Segments may overlap, where a script requests that.
    rises = np.diff(axis) > 0
    if not np.all(rises if requested is None else rises | (np.diff(requested) <= 0)):
        raise role.refused(what, "returned frequencies that do not increase")
    if requested is not None:
        _require_segments(role, what, axis, requested)
        return
    if not {"center", "span"} <= role.request.keys():
        return
    span, ends = role.request["span"], _ends(role.request["center"], role.request["span"])
    tolerance = AXIS_TOLERANCE * span / max(1, len(axis) - 1)
    if abs(axis[0] - ends[0]) > tolerance or abs(axis[-1] - ends[1]) > tolerance:
        raise role.refused(
            what, f"returned {axis[0]:.9g} to {axis[-1]:.9g} Hz where {ends[0]:.9g} to {ends[1]:.9g} Hz were requested"
        )


def _require_segments(role: PlausibleRole, what: str, axis: NDArray[Any], requested: NDArray[np.float64]) -> None:
    """Each frequency must be the one `requested`, within half of the smaller distance to its neighbours."""
    steps = np.pad(np.abs(np.diff(requested)), 1, mode="edge")
    far = np.abs(axis - requested) > AXIS_TOLERANCE * np.minimum(steps[:-1], steps[1:])
    if far.any():
        at = int(np.argmax(far))
        raise role.refused(
            what, f"returned {axis[at]:.9g} Hz as number {at + 1} where {requested[at]:.9g} Hz was requested"
        )


def _spectrum(role: PlausibleRole, what: str, values: Any) -> None:
    densities = role.array(what, values, "f")
    bandwidth = role.request.get("resolution_bandwidth", 1.0)
    if np.any(densities < 0) or np.any(densities * bandwidth > DESTRUCTIVE_POWER):
        raise role.refused(what, f"returned {densities.min():.3g} to {densities.max():.3g} W/Hz, which is not possible")


def _ratios(role: PlausibleRole, what: str, values: Any) -> None:
    largest, allowed = np.max(np.abs(role.array(what, values, "c"))), largest_ratio(role.request.get("power", 0.0))
    if largest > allowed:
        raise role.refused(what, f"returned values up to {largest:.3g}; up to {allowed:.3g} is possible at this power")


CHECKS: Mapping[str, Mapping[str, Check]] = {
    "bias": {"read": _source_reading, "fetch_sweep": _source_readings, "level": _level, "output_enabled": _state},
    "lockin": {"read": _signal, "read_auxiliary": _level, "quiet": _time, "settling_time": _time},
    "analyzer": {"frequencies": _axis, "fetch": _spectrum},
    "vna": {"frequencies": _axis, "fetch": _ratios},
}
"""Kind of a role → method → check of what it returns."""
