"""18 and 19: compliance and overload. Stopped with 7, or flagged and kept as NaN, and never part of a fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.answers import OVERFLOW
from drivers.scpi import CheckedInstrument
from labnis.safety.invalid_readings import Quality, QualityBit, ValidatedRole
from labnis.storage import open_rows, read_fits, read_metadata
from tests.faults.measuring import Lab


def test_compliance_stops(lab: Lab) -> None:
    lab.fault("bias", "compliance", ":READ?", after=40)
    answer = lab.run()
    assert answer.returncode == 7, answer.stderr
    assert "on_compliance is 'stop'" in answer.stderr
    lab.assert_safe()
    assert read_metadata(lab.run_file)["rows"] == 40


def test_compliance_and_overload_are_flagged_and_left_out(lab: Lab) -> None:
    lab.write_station(on_compliance="continue")
    lab.fault("bias", "compliance", ":READ?", after=40, count=3, seconds=0.001)
    lab.fault("lockin", "overload", "SNAP", after=60, count=3, seconds=0.001)
    answer = lab.run()
    assert answer.returncode == 0, answer.stderr
    lab.assert_safe()
    with open_rows(lab.run_file) as run:
        quality = run["quality"].values.astype(int)
        limited = quality & QualityBit.COMPLIANCE != 0
        overloaded = quality & QualityBit.OVERLOAD != 0
        assert 1 <= limited.sum() <= 4
        assert 1 <= overloaded.sum() <= 4
        assert np.isnan(run["current"].values[limited]).all()
        assert np.isnan(run["conductance"].values[overloaded]).all()
        assert np.isfinite(run["current"].values[~limited]).all()
        assert np.isfinite(run["conductance"].values[~overloaded]).all()
    fit = read_fits(lab.run_file)["current_voltage"]
    assert np.isfinite(fit["chi2"])
    assert "quality" in lab.event_kinds()


def test_a_limit_that_acts_from_the_first_point(lab: Lab) -> None:
    lab.fault("bias", "compliance")
    answer = lab.run()
    assert answer.returncode == 7, answer.stderr
    lab.assert_safe()


class Marked:
    """A lock-in whose readings come through the check of every driver."""

    described = "lockin (nowhere)"

    def __init__(self, value: float) -> None:
        self.value = value

    def read(self) -> complex:
        return complex(CheckedInstrument.measured(self, self.value, "X"), 0.0)  # type: ignore[arg-type]


@given(
    st.one_of(
        st.sampled_from([9.9e37, -9.9e37, 9.91e37, 199.999e99]),
        st.floats(min_value=OVERFLOW, allow_infinity=False).flatmap(lambda value: st.sampled_from([value, -value])),
    )
)
def test_markers_are_never_numbers(marker: float) -> None:
    said: list[str] = []
    quality = Quality("continue", said.append)
    assert np.isnan(ValidatedRole(Marked(marker), "lockin", quality, "lockin").read())
    assert quality.take() == QualityBit.OVERLOAD
    assert quality.take() == 0
    assert f"{marker:g}" in said[0]


@given(st.floats(min_value=-9.7e37, max_value=9.7e37))
def test_numbers_stay_as_they_are(value: float) -> None:
    quality = Quality("stop", pytest.fail)
    assert ValidatedRole(Marked(value), "lockin", quality, "lockin").read() == value
    assert quality.take() == 0
