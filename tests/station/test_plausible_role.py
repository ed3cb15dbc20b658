"""What a lab's own class returns in a role is checked like the answers of the shipped drivers."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from drivers.errors import InstrumentError, OverloadError
from drivers.roles import SourceReading
from labnis.station.plausible_role import PlausibleRole

POINTS = 11
BAND = {"center": 5e9, "span": 1e9, "points": POINTS}
REQUESTS = {
    "bias": {"maximum_voltage": 1.0, "maximum_current": 1e-6, "compliance": 5e-6, "integration_time": 0.02},
    "lockin": {"amplitude": 0.01, "frequency": 77.7, "time_constant": 0.1, "sensitivity": 0.1},
    "analyzer": BAND | {"resolution_bandwidth": 1e5, "sweep_time": 0.1, "averages": 1},
    "vna": BAND | {"power": 0.0, "if_bandwidth": 1e3, "averages": 1},
}
AXIS = np.linspace(4.5e9, 5.5e9, POINTS)
TRACE = np.full(POINTS, 0.5 + 0.1j)
SPECTRUM = np.full(POINTS, 1e-18)


def with_first(values: Any, value: Any) -> Any:
    changed = values.copy()
    changed[0] = value
    return changed


POSSIBLE = [
    ("bias", "read", SourceReading(0.5, 1e-7)),
    ("bias", "read", SourceReading(0.5, math.nan)),
    ("bias", "read", SourceReading(0.5, 1e-7, 2.0, 1e-6)),
    ("bias", "level", 0),
    ("bias", "output_enabled", True),
    ("bias", "output_enabled", 1),
    ("lockin", "read", 0.05 - 0.01j),
    ("lockin", "read", 0.05),
    ("lockin", "read_auxiliary", -9.0),
    ("lockin", "settling_time", 0.3),
    ("analyzer", "frequencies", AXIS),
    ("analyzer", "fetch", SPECTRUM),
    ("vna", "frequencies", AXIS + 1e6),
    ("vna", "fetch", TRACE),
]
IMPOSSIBLE = [
    ("bias", "read", None),
    ("bias", "read", SourceReading(math.nan, 1e-7)),
    ("bias", "read", SourceReading(math.inf, 1e-7)),
    ("bias", "read", SourceReading(0.5, 9.9e37)),
    ("bias", "read", SourceReading(0.5, 5e-4)),  # a level, where the compliance is 5 µA
    ("bias", "read", SourceReading(0.5, 3e-6, 2.0, 1e-6)),
    ("bias", "read", SourceReading(5.0, 1e-7, 2.0, 1e-6)),
    ("bias", "level", "0.5"),
    ("bias", "level", math.nan),
    ("bias", "output_enabled", "ON"),
    ("bias", "output_enabled", 77.7),
    ("lockin", "read", "1,2"),
    ("lockin", "read", complex(math.nan, 0.0)),
    ("lockin", "read", 77.7 + 0j),  # the frequency, where the full scale is 0.1 V
    ("lockin", "read_auxiliary", math.inf),
    ("lockin", "settling_time", -1.0),
    ("lockin", "quiet", math.nan),
    ("analyzer", "frequencies", AXIS[:-1]),
    ("analyzer", "frequencies", AXIS[::-1].copy()),
    ("analyzer", "frequencies", AXIS / 1e9),
    ("analyzer", "frequencies", list(AXIS)),
    ("analyzer", "fetch", SPECTRUM[:-1]),
    ("analyzer", "fetch", -SPECTRUM),
    ("analyzer", "fetch", with_first(SPECTRUM, math.nan)),
    ("analyzer", "fetch", with_first(SPECTRUM, 1e12)),
    ("analyzer", "fetch", TRACE),
    ("vna", "frequencies", with_first(AXIS, 4.4e9)),
    ("vna", "fetch", TRACE.real),
    ("vna", "fetch", TRACE[:, np.newaxis]),
    ("vna", "fetch", with_first(TRACE, 100.0)),  # 40 dBm at the receiver
    ("vna", "fetch", with_first(TRACE, 9.91e37)),
    ("vna", "fetch", with_first(TRACE, math.inf)),
]


def prepared(kind: str, method: str, returned: Any) -> PlausibleRole:
    player = SimpleNamespace(prepare=lambda **_: None, **{method: lambda *_: returned})
    role = PlausibleRole(player, kind, f"{kind}, ours (GPIB0::1::INSTR)")
    role.prepare(**REQUESTS[kind])
    return role


@pytest.mark.parametrize(("kind", "method", "returned"), POSSIBLE)
def test_what_is_possible_is_returned_unchanged(kind: str, method: str, returned: Any) -> None:
    assert getattr(prepared(kind, method, returned), method)() is returned


@pytest.mark.parametrize(("kind", "method", "returned"), IMPOSSIBLE)
def test_what_is_not_possible_is_an_error_with_instrument_and_method(kind: str, method: str, returned: Any) -> None:
    with pytest.raises(InstrumentError, match=rf"{kind}, ours \(GPIB0::1::INSTR\).*{method}\(\)"):
        getattr(prepared(kind, method, returned), method)()


def test_an_over_range_marker_is_told_as_over_range() -> None:
    with pytest.raises(OverloadError, match="over-range"):
        prepared("bias", "read", SourceReading(0.5, 9.9e37)).read()
    with pytest.raises(OverloadError, match="over-range"):
        prepared("analyzer", "fetch", with_first(SPECTRUM, 9.9e37)).fetch()


def test_ranges_are_not_checked_before_they_are_known() -> None:
    role = PlausibleRole(SimpleNamespace(read=lambda: SourceReading(150.0, 0.5)), "bias", "bias, ours")
    assert role.read().current == 0.5


def test_everything_else_is_that_of_the_instrument() -> None:
    role = prepared("vna", "fetch", TRACE)
    with pytest.raises(AttributeError):
        role.start_ramp  # noqa: B018  # it raises
