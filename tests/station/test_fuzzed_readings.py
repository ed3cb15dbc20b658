"""Any object that a lab's own driver returns: a number, or an error of ours with the name of the instrument."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.errors import InstrumentError
from drivers.roles import SourceReading
from labnis.station.parameter_source import Switch
from labnis.station.parameters import Parameter
from labnis.station.plausible_role import CHECKS, PlausibleRole

NUMBERS = st.integers() | st.floats() | st.complex_numbers() | st.booleans() | st.decimals()
ARRAYS = st.lists(st.floats(), max_size=5).map(np.array) | st.lists(st.text(max_size=2), max_size=3).map(np.array)
ANYTHING = st.one_of(
    NUMBERS, ARRAYS, st.text(max_size=9), st.binary(max_size=9), st.none(), st.lists(NUMBERS, max_size=3),
    st.builds(SourceReading, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
)  # fmt: skip
REQUEST = {"points": 3, "center": 5e9, "span": 1e9, "sensitivity": 0.1, "compliance": 5e-6, "power": 0.0}
NAME = "ours (GPIB0::1::INSTR)"


@pytest.mark.parametrize(("kind", "method"), [(kind, method) for kind, checks in CHECKS.items() for method in checks])
@given(found=ANYTHING)
def test_a_role_returns_what_is_possible_or_an_error_of_ours(kind: str, method: str, found: Any) -> None:
    player = SimpleNamespace(prepare=lambda **_: None, **{method: lambda: found})
    role = PlausibleRole(player, kind, NAME)
    role.prepare(**REQUEST)
    try:
        returned = getattr(role, method)()
    except InstrumentError as error:
        assert NAME in str(error)
    else:
        assert returned is found


@given(found=ANYTHING)
def test_a_parameter_is_a_finite_number_or_an_error_of_ours(found: Any) -> None:
    instrument = SimpleNamespace(value=lambda: found)
    try:
        assert math.isfinite(Parameter(instrument, "value", NAME).read())
    except InstrumentError as error:
        assert NAME in str(error)


@given(found=ANYTHING)
def test_a_switch_is_on_or_off_or_an_error_of_ours(found: Any) -> None:
    try:
        assert Switch(SimpleNamespace(state=lambda: found), "state", NAME).is_on() in (True, False)
    except InstrumentError as error:
        assert NAME in str(error)
