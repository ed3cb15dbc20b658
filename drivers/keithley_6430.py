"""Keithley 6430 sub-femtoamp source-meter as the bias source, on the driver of qcodes_contrib_drivers.

`drivers.keithley_24xx` has what it shares with the 2400 series. From the 6430 reference manual (pages 17-47 to 17-67,
and its specifications). **Never tried on hardware.** It has three filters and an automatic one: here only the repeating
average is used. On the ranges of 1 pA and 10 pA it settles within 2 s, of 100 pA to 10 nA within 50 ms (to 10 %).
"""

from typing import Any

from qcodes_contrib_drivers.drivers.Tektronix.Keithley_6430 import (  # type: ignore[import-untyped]  # it has no types
    Keithley_6430 as ContribKeithley6430,
)

from drivers.keithley_24xx import FRONT, Keithley24xx

__all__ = ["Keithley6430"]

READINGS_OF_UPSTREAM = ("sense_current", "sense_voltage", "sense_resistance")


class Keithley6430(Keithley24xx, ContribKeithley6430):  # type: ignore[misc]  # see above
    """A Keithley 6430 that fills the role of `drivers.roles.BiasSource`: it sources voltage and measures current.

    It says whether it was left as a current source (`drivers.protection.CurrentSourcing`).

    `output_enabled()` is a parameter, as in qcodes_contrib_drivers; it queries the instrument each time. Parameters
    that measure are left out, because `read` is another here.

    Parameters
    ----------
    name, address
        Of the instrument.
    four_wire
        Whether the device is connected with sense leads.

    Raises
    ------
    SettingError
        If it is another instrument.

    """

    voltage_ranges = (0.2, 2.0, 20.0, 200.0)
    current_ranges = tuple(10.0**decade for decade in range(-12, 0))
    has_terminals = False
    status_settings = Keithley24xx.status_settings & ~FRONT

    def __init__(self, name: str, address: str, four_wire: bool = False, **kwargs: Any) -> None:
        self.four_wire_leads = four_wire
        super().__init__(name, address, **kwargs)
        self._require_model(("6430",))
        for reading in READINGS_OF_UPSTREAM:
            self.remove_parameter(reading)
        self.output_enabled = self._replaced(
            "output_enabled", "", self._output_state, lambda on: self.apply(":OUTP", bool(on))
        )
        for name_, header in (
            ("output_auto_off_enabled", ":SOUR:CLE:AUTO"),  # upstream queries the output in place of it
            ("filter_repeat_enabled", ":SENS:AVER:REP"),  # and here the automatic filter
        ):
            self._replaced(
                name_,
                "",
                lambda at=header: self.ask_flag(f"{at}?"),
                lambda on, at=header: self.apply(at, bool(on)),
            )

    def _average(self, readings: int) -> None:
        """Use the repeating filter alone, over this many `readings`; no filter for one."""
        for header in (":SENS:AVER:AUTO", ":SENS:MED", ":SENS:AVER"):
            self.apply(header, False)
        self.apply(":SENS:AVER:REP:COUN", readings)
        self.apply(":SENS:AVER:REP", readings > 1)
