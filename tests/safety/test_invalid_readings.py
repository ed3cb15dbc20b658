"""Invalid readings: NaN with a flag, or the end of the run."""

from typing import Any

import numpy as np
import pytest
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError

from drivers.errors import CommunicationError, ComplianceError, InstrumentError, OverloadError, ReadingError
from drivers.roles import BiasReading
from labnis.errors import DataQualityError
from labnis.safety.invalid_readings import Quality, QualityBit, ValidatedRole

OVERLOAD = OverloadError("sr830 (GPIB0::8)", "the input is overloaded.")
COMPLIANCE = ComplianceError("keithley (USB0::1)", "the current limit of 5e-06 A acts.")


def validated(player: Any, kind: str, quality: Quality) -> ValidatedRole:
    return ValidatedRole(player, kind, quality, f"{kind}, dmm (GPIB0::22)")


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
    assert validated(Bias(BiasReading(1.0, 2.0, 3.0)), "bias", quality).read() == BiasReading(1.0, 2.0, 3.0)
    assert quality.take() == 0


def test_compliance_marks_the_row_where_the_station_says_continue() -> None:
    said: list[str] = []
    quality = Quality("continue", said.append)
    bias = validated(Bias(COMPLIANCE, BiasReading(1.0, 2.0, 3.0)), "bias", quality)
    assert np.isnan(bias.read().current)
    assert quality.take() == QualityBit.COMPLIANCE
    assert "5e-06 A" in said[0]
    bias.read()
    assert quality.take() == 0  # the mark belongs to one row


def test_compliance_ends_the_run_where_the_station_says_stop() -> None:
    with pytest.raises(DataQualityError, match="on_compliance"):
        validated(Bias(COMPLIANCE), "bias", Quality("stop", print)).read()


def test_an_overloaded_trace_keeps_its_shape() -> None:
    quality = Quality("stop", print)
    spectrum = validated(Analyzer(), "analyzer", quality).fetch()
    assert spectrum.shape == (7,)
    assert np.isnan(spectrum).all()
    assert quality.take() == QualityBit.OVERLOAD


def test_any_other_fault_is_not_hidden() -> None:
    fault = InstrumentError("keithley (USB0::1)", "no answer.")
    with pytest.raises(InstrumentError, match="no answer"):
        validated(Bias(fault), "bias", Quality("continue", print)).read()


# --- failed readings that are skipped ---------------------------------------------------------------------------------


class Meter:
    def __init__(self, *readings: float | Exception) -> None:
        self._readings = iter(readings)
        self.moves: list[float] = []

    def move_to(self, value: float) -> None:
        raise SILENT

    def read(self) -> float:
        reading = next(self._readings)
        if isinstance(reading, Exception):
            raise reading
        return reading


SILENT = CommunicationError("dmm (GPIB0::22)", "no answer.")


@pytest.mark.parametrize("error", [SILENT, ReadingError("dmm (GPIB0::22)", "reads nothing.")])
@pytest.mark.parametrize("kind", ["ammeter", "voltmeter", "setpoint", "reading"])
def test_a_failed_reading_is_flagged_where_the_run_skips_it(kind: str, error: InstrumentError) -> None:
    said: list[str] = []
    quality = Quality("stop", said.append, "skip")
    role = validated(Meter(error, 1.0), kind, quality)
    assert np.isnan(role.read())
    assert quality.take() == QualityBit.FAILED
    assert said == [str(error)]
    assert role.read() == 1.0
    assert quality.take() == 0


@pytest.mark.parametrize("error", [TimeoutError("no answer"), VisaIOError(StatusCode.error_timeout)])
def test_what_a_labs_own_driver_raises_is_named_and_skipped_like_the_rest(error: Exception) -> None:
    said: list[str] = []
    role = validated(Meter(error, error, 1.0), "lockin", Quality("stop", said.append, "skip"))
    assert np.isnan(role.read())
    assert said[0].startswith(f"lockin, dmm (GPIB0::22): a reading failed: {type(error).__name__}: ")
    with pytest.raises(CommunicationError, match=r"lockin, dmm \(GPIB0::22\)"):
        validated(Meter(error), "lockin", Quality("stop", print)).read()


def test_moving_is_never_skipped() -> None:
    role = validated(Meter(), "setpoint", Quality("stop", print, "skip"))
    with pytest.raises(CommunicationError):
        role.move_to(1.0)


def test_an_instrument_that_is_gone_ends_the_run_after_all() -> None:
    role = validated(Meter(*[SILENT] * 20), "ammeter", Quality("stop", print, "skip"))
    with pytest.raises(CommunicationError):
        for _ in range(20):
            role.read()


def test_a_thermometer_that_reads_nothing_does_not_flag_the_row() -> None:
    class Thermometer:
        def temperature(self) -> float:
            raise ReadingError("ls372 (GPIB0::12)", "sensor status is 16 (R. OVER).")

    said: list[str] = []
    quality = Quality("stop", said.append)
    assert np.isnan(validated(Thermometer(), "thermometer", quality).temperature())
    assert quality.take() == 0
    assert len(said) == 1
