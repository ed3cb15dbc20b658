"""Points of a sweep as text and as numbers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procedures import SweepParameter

POINTS = SweepParameter("Gate", units="V", minimum=-2.0, maximum=2.0)


@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("-1:1:5", [-1.0, -0.5, 0.0, 0.5, 1.0]),
        ("0, 0.1,0.5", [0.0, 0.1, 0.5]),
        ("-1:-0.5:2,0,0.5:1:2", [-1.0, -0.5, 0.0, 0.5, 1.0]),
        ("1:-1:3", [1.0, 0.0, -1.0]),
        ("0,0", [0.0, 0.0]),
        ("", []),
        ("0mV,1mV, 100 µV", [0.0, 1e-3, 1e-4]),
        ("-1mV:1 mV:3,0.5", [-1e-3, 0.0, 1e-3, 0.5]),
    ],
)
def test_segments_and_single_points(text: str, points: list[float]) -> None:
    assert list(POINTS.convert(text)) == points


@pytest.mark.parametrize("values", [[0, 1], (0.0, 1.0), np.array([0.0, 1.0]), pd.Series([0.0, 1.0]), range(2)])
def test_any_sequence_of_numbers(values: object) -> None:
    assert POINTS.convert(values) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0:3:4", "3 is not from -2 to 2 V"),
        ("0:1", "'0:1' is neither a segment start:stop:points nor a number"),
        ("0:1:1", "a segment has from 2 to 2000000 points"),
        ("0:1:99999999", "a segment has from 2 to 2000000 points"),
        ("nan", "must be a finite number, not nan"),
        ("1_0", "'1_0' is not a number"),
        ("a", "'a' is not a number"),
        ("0,,1", "'' is not a number"),
        ("1mA", "mA cannot be expressed in V"),
        ("1degC:2V:3", "degC cannot be expressed in V"),
        ("3000mV", "3 is not from -2 to 2 V"),
    ],
)
def test_what_is_no_list_of_allowed_points_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        POINTS.convert(text)


@given(st.lists(st.floats(-2, 2), max_size=20))
def test_the_text_of_a_value_is_that_value_again(points: list[float]) -> None:
    parameter = SweepParameter("Gate", units="V", minimum=-2.0, maximum=2.0)
    parameter.value = points
    assert parameter.convert(str(parameter)) == tuple(points)
