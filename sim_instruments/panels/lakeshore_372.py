"""Front panel of a Lake Shore 372 AC resistance bridge (manual, chapter 6): sixteen inputs, three outputs.

Inputs 1 to 4 are the mixing chamber, the still, the 4 K and the 50 K stage; the others are disabled. Heaters can be set
up and read back, but heat nothing: the stage temperatures are those of the truth file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from sim_instruments.panels.scpi_values import Call, Integer, Kind, Number, ScpiError, Text
from sim_instruments.panels.word_panel import Handler, WordPanel, command
from sim_instruments.world.fridge import Stage

__all__ = ["LakeShore372Panel"]

STAGES: dict[int, tuple[Stage, str]] = {
    1: ("mixing_chamber", "Mixing chamber"),
    2: ("still", "Still"),
    3: ("four_kelvin", "4 K"),
    4: ("fifty_kelvin", "50 K"),
}
INPUTS = [str(number) for number in range(1, 17)]
OUTPUTS = ["0", "1", "2"]
# RDGST?: 16 = resistance over range, what an open input shows.
OVER_RANGE = 16


def resistance(temperature: float) -> float:
    """Resistance (ohm) of the sensor at `temperature` (K): a ruthenium oxide chip of 1 kΩ at room temperature.

    R = 1000 Ω · exp((0.5 K / T)^{1/4}), the variable-range hopping law such chips follow below 4 K.
    """
    return float(1000.0 * 2.718281828459045 ** ((0.5 / temperature) ** 0.25))


@dataclass(frozen=True)
class _Table:
    """A command that sets several values for one channel, such as `INSET 1,1,5,3,0,1`."""

    channels: list[str]
    kinds: tuple[Kind, ...]
    defaults: dict[str, list[Any]]


def _whole(low: int, high: int) -> Integer:
    return Integer(low, low, high)


def _real(low: float, high: float) -> Number:
    return Number(low, low, high)


TABLES: dict[str, _Table] = {
    # enabled, dwell (s), pause (s), curve, temperature coefficient
    "INSET": _Table(
        INPUTS,
        (_whole(0, 1), _whole(1, 200), _whole(3, 200), _whole(0, 59), _whole(1, 2)),
        {channel: [int(int(channel) in STAGES), 10, 3, 21 if int(channel) in STAGES else 0, 1] for channel in INPUTS},
    ),
    # excitation mode, excitation range, autorange, range, shunted, units
    "INTYPE": _Table(
        INPUTS,
        (_whole(0, 1), _whole(1, 22), _whole(0, 2), _whole(1, 22), _whole(0, 1), _whole(1, 2)),
        {channel: [0, 2, 1, 14, 0, 1] for channel in INPUTS},
    ),
    "INNAME": _Table(INPUTS, (Text(),), {channel: [STAGES.get(int(channel), ("", ""))[1]] for channel in INPUTS}),
    # on, settle time (s), window (%)
    "FILTER": _Table(
        INPUTS, (_whole(0, 1), _whole(1, 200), _whole(1, 80)), {channel: [0, 10, 10] for channel in INPUTS}
    ),
    "TLIMIT": _Table(INPUTS, (_real(0, 999),), {channel: [0.0] for channel in INPUTS}),
    # mode, input, on at power-up, polarity, filter, delay (s)
    "OUTMODE": _Table(
        OUTPUTS,
        (_whole(0, 6), _whole(1, 16), _whole(0, 1), _whole(0, 1), _whole(0, 1), _whole(0, 255)),
        {channel: [0, 1, 0, 0, 0, 5] for channel in OUTPUTS},
    ),
    # type, resistance, largest current, user's largest current (A), display
    "HTRSET": _Table(
        OUTPUTS,
        (_whole(0, 1), _whole(1, 2), _whole(0, 4), _real(0, 2), _whole(1, 2)),
        {channel: [0, 1, 1, 0.0, 1] for channel in OUTPUTS},
    ),
    "RANGE": _Table(OUTPUTS, (_whole(0, 8),), {channel: [0] for channel in OUTPUTS}),
    "SETP": _Table(OUTPUTS, (_real(0, 1e6),), {channel: [0.0] for channel in OUTPUTS}),
    "RAMP": _Table(OUTPUTS, (_whole(0, 1), _real(0, 100)), {channel: [0, 0.1] for channel in OUTPUTS}),
    "PID": _Table(
        OUTPUTS, (_real(0, 1000), _real(0, 10000), _real(0, 2500)), {channel: [10.0, 20.0, 0.0] for channel in OUTPUTS}
    ),
    "MOUT": _Table(OUTPUTS, (_real(-100, 100),), {channel: [0.0] for channel in OUTPUTS}),
}


def _number(value: float) -> str:
    return format(value, "+.5E")


def _table_handlers(name: str, table: _Table) -> Iterator[tuple[str, Handler]]:
    """Handlers that write and show one row of `table`."""

    def change(panel: "LakeShore372Panel", call: Call) -> None:
        channel = panel.channel(call, table.channels)
        call.expect(1 + len(table.kinds))
        panel.tables[name][channel] = [call.parse(index, kind) for index, kind in enumerate(table.kinds, start=1)]

    def show(panel: "LakeShore372Panel", call: Call) -> str:
        call.expect(1)
        row = panel.tables[name][panel.channel(call, table.channels)]
        return ",".join([format(value, "+.4f") if isinstance(value, float) else str(value) for value in row])

    yield name, change
    yield name + "?", show


class LakeShore372Panel(WordPanel):
    """A Lake Shore 372 on the fridge's thermometers."""

    identification = "LSCI,MODEL372,TWIN0005,1.3"
    terminator = b"\r\n"
    words: ClassVar[dict[str, Kind]] = {"BRIGT": _whole(0, 3), "LOCK": _whole(0, 2)}

    def reset(self) -> None:
        """Return to the defaults."""
        super().reset()
        self.tables = {
            name: {channel: list(values) for channel, values in table.defaults.items()}
            for name, table in TABLES.items()
        }
        self.scanned = 1
        self.autoscan = 0

    def channel(self, call: Call, channels: list[str] = INPUTS) -> str:
        """The channel that the first parameter names; ScpiError if there is none such."""
        name = str(round(call.number(0)))
        if name not in channels:
            raise ScpiError(-222)
        return name

    def _enabled(self, channel: str) -> bool:
        return int(channel) in STAGES and self.tables["INSET"][channel][0] == 1

    def _temperature(self, channel: str) -> float:
        """One reading (K) of an enabled input, which lasts 0.1 s (10 readings per second)."""
        self.world.clock.sleep(0.1)
        return self.world.temperature(STAGES[int(channel)][0])

    @command("KRDG?")
    def _kelvin(self, call: Call) -> str:
        channel = self.channel(call)
        return _number(self._temperature(channel) if self._enabled(channel) else 0.0)

    @command("SRDG?", "RDGR?")
    def _sensor_units(self, call: Call) -> str:
        channel = self.channel(call)
        return _number(resistance(self._temperature(channel)) if self._enabled(channel) else 0.0)

    @command("RDGST?")
    def _reading_status(self, call: Call) -> str:
        return "000" if self._enabled(self.channel(call)) else f"{OVER_RANGE:03d}"

    @command("SCAN")
    def _set_scan(self, call: Call) -> None:
        call.expect(2)
        channel, autoscan = round(call.number(0, 1, 16)), round(call.number(1, 0, 1))
        self.scanned, self.autoscan = channel, autoscan

    @command("SCAN?")
    def _show_scan(self, call: Call) -> str:
        return f"{self.scanned:02d},{self.autoscan}"

    @command("HTR?")
    def _heater_output(self, call: Call) -> str:
        return _number(0.0)

    @command("RAMPST?")
    def _ramp_status(self, call: Call) -> str:
        self.channel(call, OUTPUTS)
        return "0"

    @command("HTRST?")
    def _heater_status(self, call: Call) -> str:
        self.channel(call, OUTPUTS)
        return "0"

    @classmethod
    def _own_handlers(cls) -> Iterator[tuple[str, Handler]]:
        yield from super()._own_handlers()
        for name, table in TABLES.items():
            yield from _table_handlers(name, table)
