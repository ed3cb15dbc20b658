"""Keithley 2400 source-meters as the bias source: 2400, 2400-LV, 2401, 2410, 2420, 2425 and 2440.

QCoDeS's driver with checks of every setting and reading; `drivers.keithley_24xx` says how. **Never tried on hardware.**
The 2430 is left out: its pulse mode has other limits.
"""

from typing import Any, Literal

from qcodes.instrument_drivers.Keithley import Keithley2400 as QcodesKeithley2400

from drivers.keithley_24xx import Keithley24xx
from drivers.unchanged_opening import UnchangedOpening

__all__ = ["Keithley2400"]

DECADES = tuple(10.0**decade for decade in range(-6, 1))
# Model → ranges of voltage (V) and of current (A), from the data sheets SPEC-2400 to SPEC-2440.
RANGES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "2400": ((0.2, 2.0, 20.0, 200.0), DECADES),
    "2400-LV": ((0.2, 2.0, 20.0), DECADES),
    "2401": ((0.2, 2.0, 20.0), DECADES),
    "2410": ((0.2, 2.0, 20.0, 1000.0), (1e-6, 1e-5, 1e-4, 1e-3, 0.02, 0.1, 1.0)),
    "2420": ((0.2, 2.0, 20.0, 60.0), (*DECADES[1:], 3.0)),
    "2425": ((0.2, 2.0, 20.0, 100.0), (*DECADES[1:], 3.0)),
    "2440": ((0.2, 2.0, 10.0, 40.0), (*DECADES[1:], 5.0)),
}


class Keithley2400(UnchangedOpening, Keithley24xx, QcodesKeithley2400):
    """A Keithley 2400 that fills the role of `drivers.roles.BiasSource`: it sources voltage and measures current.

    It says whether it was left as a current source (`drivers.protection.CurrentSourcing`).

    `volt` and `curr` are levels, and not readings as in QCoDeS; they, the limits and the ranges are written with all
    their digits, and `output` is queried each time.

    Parameters
    ----------
    name, address
        Of the instrument.
    four_wire
        Whether the device is connected with sense leads.
    terminals
        `front` or `rear`; by default those that are selected.

    Raises
    ------
    SettingError
        If it is another instrument.

    """

    def __init__(
        self,
        name: str,
        address: str,
        four_wire: bool = False,
        terminals: Literal["front", "rear"] | None = None,
        **kwargs: Any,
    ) -> None:
        self.four_wire_leads, self.terminals = four_wire, terminals
        super().__init__(name, address, **kwargs)
        self.voltage_ranges, self.current_ranges = RANGES[self._require_model(RANGES)]
        self._replace_parameters()

    def _replace_parameters(self) -> None:
        """Parameters of QCoDeS that round small values to 0, or that read another value than they write."""
        self.volt = self._replaced("volt", "V", self.level, self.set_level)
        self.curr = self._replaced("curr", "A", self.current_level, self.set_current)
        for name, unit, header in (
            ("rangev", "V", ":SOUR:VOLT:RANG"),
            ("rangei", "A", ":SENS:CURR:RANG"),
            ("compliancev", "V", ":SENS:VOLT:PROT"),
            ("compliancei", "A", ":SENS:CURR:PROT"),
        ):
            setattr(self, name, self._replaced(name, unit, f"{header}?", f"{header} {{:.10g}}", get_parser=float))
        self.output = self._replaced("output", "", self._output_state, lambda on: self.apply(":OUTP", bool(on)))
        self.remove_parameter("resistance")

    def output_enabled(self) -> bool:
        """Whether the output is on, as the instrument answers."""
        return self._output_state()
