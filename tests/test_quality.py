"""Readings that are no measurements: marked and kept as NaN, or the end of the run."""

import numpy as np
import pytest

from drivers.errors import ComplianceError, InstrumentError, OverloadError
from drivers.roles import BiasReading
from labnis.errors import DataQualityError
from labnis.safety.invalid_readings import Judged, Quality, QualityBit

OVERLOAD = OverloadError("sr830 (GPIB0::8)", "the input is overloaded.")
COMPLIANCE = ComplianceError("keithley (USB0::1)", "the current limit of 5e-06 A acts.")


class Bias:
    def __init__(self, *readings: BiasReading | Exception) -> None:
        self._readings = iter(readings)

    def move_to(self, bias: float) -> None: ...

    def read(self) -> BiasReading:
        reading = next(self._readings)
        if isinstance(reading, Exception):
            raise reading
        return reading


class Analyzer:
    def frequencies(self) -> np.ndarray:
        return np.linspace(1.0, 2.0, 7)

    def fetch(self) -> np.ndarray:
        raise OVERLOAD


def test_a_good_reading_passes_unchanged_and_leaves_no_mark() -> None:
    quality = Quality("stop", pytest.fail)
    assert Judged(Bias(BiasReading(1.0, 2.0, 3.0)), quality).read() == BiasReading(1.0, 2.0, 3.0)
    assert quality.take() == 0


def test_compliance_marks_the_row_where_the_station_says_continue() -> None:
    said: list[str] = []
    quality = Quality("continue", said.append)
    bias = Judged(Bias(COMPLIANCE, BiasReading(1.0, 2.0, 3.0)), quality)
    assert np.isnan(bias.read().current)
    assert quality.take() == QualityBit.COMPLIANCE
    assert "5e-06 A" in said[0]
    bias.read()
    assert quality.take() == 0  # the mark belongs to one row


def test_compliance_ends_the_run_where_the_station_says_stop() -> None:
    with pytest.raises(DataQualityError, match="on_compliance"):
        Judged(Bias(COMPLIANCE), Quality("stop", print)).read()


def test_an_overloaded_trace_keeps_its_shape() -> None:
    quality = Quality("stop", print)
    spectrum = Judged(Analyzer(), quality).fetch()
    assert spectrum.shape == (7,)
    assert np.isnan(spectrum).all()
    assert quality.take() == QualityBit.OVERLOAD


def test_any_other_fault_is_not_hidden() -> None:
    fault = InstrumentError("keithley (USB0::1)", "no answer.")
    with pytest.raises(InstrumentError, match="no answer"):
        Judged(Bias(fault), Quality("continue", print)).read()
