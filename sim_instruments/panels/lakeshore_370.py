"""Front panel of a Lake Shore 370 AC resistance bridge; facts as in `drivers.lakeshore_370`.

Inputs, scanner and heater are those of `sim_instruments.panels.lakeshore_bridge`.
"""

from typing import Any, ClassVar

from sim_instruments.panels.front_panel import command
from sim_instruments.panels.lakeshore_bridge import FLAG, INPUTS, LakeShoreBridgePanel, table
from sim_instruments.panels.scpi_values import Call, Integer, Kind, Number, ScpiError
from sim_instruments.panels.word_panel import word_settings

__all__ = ["LakeShore370Panel"]

CLOSED_LOOP, OPEN_LOOP, OFF = 1, 3, 4
# CSET: input, filter, unit, delay (s), display, highest range, heater (ohm).
LOOP: tuple[Kind, ...] = (
    Integer(1, 1, 16), FLAG, Integer(1, 1, 2), Integer(5, 1, 255), Integer(1, 1, 2), Integer(8, 0, 8),
    Number(100.0, 1, 1e5),
)  # fmt: skip
RAMP: tuple[Kind, ...] = (FLAG, Number(0.1, 0.001, 10))
PID: tuple[Kind, ...] = (Number(10.0, 0.001, 1000), Number(20.0, 0, 10000), Number(0.0, 0, 2500))


class LakeShore370Panel(LakeShoreBridgePanel):
    """A Lake Shore 370 on the fridge's thermometers."""

    identification = "LSCI,MODEL370,TWIN0063,09272005"
    resource = "GPIB{}::15::INSTR"
    settings: ClassVar[tuple[Any, ...]] = (
        *word_settings(
            HTRRNG=Integer(0, 0, 8), SETP=Number(0.0, 0, 1e6), CMODE=Integer(OFF, 1, 4), MOUT=Number(0.0, 0, 100)
        ),
        # excitation mode, excitation, range, autorange, off
        table("RDGRNG", INPUTS, FLAG, Integer(2, 1, 22), Integer(14, 1, 22), FLAG, FLAG),
    )
    handlers: ClassVar = {
        "RDGK?": lambda self, call: self.reading(call),
        "CSET?": lambda self, _: "{:02d},{},{},{:03d},{},{},{:+.3f}".format(*self.loop),
        "RAMP?": lambda self, _: "{},{:+.3f}".format(*self.ramp),
        "PID?": lambda self, _: "{:+.3f},{:+.3f},{:+.3f}".format(*self.pid),
        "HTRST?": "0",
        "RAMPST?": "0",
    }

    def reset(self) -> None:
        """Return to the defaults."""
        super().reset()
        self.loop, self.ramp, self.pid = (tuple(kind.default for kind in kinds) for kinds in (LOOP, RAMP, PID))

    def heater(self) -> tuple[int, float, float, bool, bool, int]:
        """The only output, in the modes open and closed loop; a set-point in ohms heats as little as one of 0 K."""
        channel, _, unit, *_ = self.loop
        mode, target = self.state["CMODE"], self.state["SETP"] if unit == 1 else 0.0
        return self.state["HTRRNG"], target, self.state["MOUT"], mode == CLOSED_LOOP, mode == OPEN_LOOP, channel

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse a range above the highest one that CSET allows."""
        if name == "HTRRNG" and value > self.loop[5]:
            raise ScpiError(-222)

    @staticmethod
    def _list(call: Call, kinds: tuple[Kind, ...]) -> tuple[Any, ...]:
        call.expect(len(kinds))
        return tuple(call.parse(index, kind) for index, kind in enumerate(kinds))

    @command("CSET")
    def _set_loop(self, call: Call) -> None:
        self.loop = self._list(call, LOOP)

    @command("RAMP")
    def _set_ramp(self, call: Call) -> None:
        self.ramp = self._list(call, RAMP)

    @command("PID")
    def _set_pid(self, call: Call) -> None:
        self.pid = self._list(call, PID)
