"""Instruments of this lab that labnis does not have."""

from typing import Any

from qcodes.instrument import VisaInstrument


class GateSource(VisaInstrument):
    """A voltage source for gates that answers `VOLT?`, and takes `VOLT 0.5`."""

    def __init__(self, name: str, address: str, **options: Any) -> None:
        super().__init__(name, address, terminator="\n", **options)
        self.voltage = self.add_parameter("voltage", unit="V", get_cmd="VOLT?", set_cmd="VOLT {:.6f}", get_parser=float)
