"""Instruments that QCoDeS does not have, or not as labnis needs them."""

import math
from typing import Any

from qcodes.instrument import InstrumentChannel, VisaInstrument
from qcodes.instrument_drivers.Keithley import Keithley2400 as QcodesKeithley2400
from qcodes.instrument_drivers.stanford_research import SR860 as QcodesSR860  # noqa: N811  # an instrument's name

from drivers.errors import OverloadError


class Keithley2400(QcodesKeithley2400):
    """QCoDeS's, whose `volt` cannot be read with the output off; level and range of the source can."""

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, address, **options)
        self.source_voltage = self.add_parameter(
            "source_voltage", unit="V", get_cmd=":SOUR:VOLT:LEV?", set_cmd=":SOUR:VOLT:LEV {:.8f}", get_parser=float
        )
        self.source_range = self.add_parameter(
            "source_range", unit="V", get_cmd=":SOUR:VOLT:RANG?", set_cmd=":SOUR:VOLT:RANG {:f}", get_parser=float
        )


class SR860(QcodesSR860):
    """QCoDeS's with the five methods of labnis's role `lockin`."""

    def prepare(self, *, amplitude: float, frequency: float, time_constant: float, sensitivity: float) -> None:
        """Set the sine output (V rms, Hz), the filter (s, 24 dB/octave) and the full scale (V rms)."""
        self.amplitude(amplitude)
        self.frequency(frequency)
        self.filter_slope(24)
        self.time_constant(time_constant)
        self.sensitivity(sensitivity)

    def quiet(self) -> float:
        """Reduce the sine output to 1 nV."""
        self.amplitude(1e-9)
        return 1e-9

    def settling_time(self) -> float:
        """Time (s) until the output is within 0.1 % of its final value."""
        return 13.1 * float(self.time_constant())

    def read(self) -> complex:
        """X + iY (V rms)."""
        voltage = complex(*self.get_values("X", "Y"))
        if not math.hypot(voltage.real, voltage.imag) <= 1.1 * float(self.sensitivity()):
            raise OverloadError(self.name, "the output is above the full scale.")
        return voltage

    def read_auxiliary(self, channel: int) -> float:
        """Voltage (V) at an auxiliary input."""
        return float(self.parameters[f"aux_in{channel - 1}"]())


class QDac2Channel(InstrumentChannel):
    """One output of a QDAC-II."""

    def __init__(self, parent: "QDac2", name: str, number: int) -> None:
        super().__init__(parent, name)
        self.add_parameter(
            "dc_constant_V",
            unit="V",
            get_cmd=f"sour{number}:volt?",
            set_cmd=f"sour{number}:volt:mode fix;:sour{number}:volt {{:.7f}}",
            get_parser=float,
        )
        self.add_parameter(
            "output_range",
            unit="V",
            get_cmd=f"sour{number}:rang?",
            set_cmd=f"sour{number}:rang {{}}",
            val_mapping={2.0: "LOW", 10.0: "HIGH"},
        )


class QDac2(VisaInstrument):
    """A QDAC-II, as far as this lab uses it; qcodes_contrib_drivers has a complete driver."""

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, address, terminator="\n", **options)
        for number in range(1, 25):
            channel = f"ch{number:02}"
            self.add_submodule(channel, QDac2Channel(self, channel, number))
