"""Data store, its statistics and the measurement register of the Keithley 2400 series and of the 6430.

From the Series 2400 user's manual (2400S-900-01, Rev. K): 9-5 (2500 readings beside those of `:READ?`), 15-13 and 15-14
(bits), 18-43 to 18-45 (statistics of the functions that were measured; -230 without data), 18-102 (what
`:STATus:PRESet` clears), 18-114 to 18-116 (no reset has an effect, storing ends when the buffer is full, and a new one
overwrites the old readings), B-6 (+800; who clears the buffer gets it, too, by pymeasure issue 161). Assumed: -230 for
`:TRACe:DATA?` of an empty buffer, that another size clears it, that `:TRACe:FEED:CONTrol?` is NEV at its end. Not
simulated: `:TRACe:FREE?`, bits of limit tests, contact check, temperature and output enable, storing of results
of calculations (the raw readings are stored), and requests for service on a bus.
"""

from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Handler, Setting, command
from sim_instruments.panels.keithley_24xx_settings import MOST_READINGS
from sim_instruments.panels.keithley_24xx_source import TEXTS
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, Choice, Integer, ScpiError
from sim_instruments.panels.stored_readings import STATISTICS, Reading

__all__ = ["Keithley24xxStore"]

READING_AVAILABLE, READING_OVERFLOW, AVAILABLE, FULL = 1 << 6, 1 << 7, 1 << 8, 1 << 9
PROTECTED, IN_COMPLIANCE, IDLE, MEASUREMENT_SUMMARY = 1 << 13, 1 << 14, 1 << 10, 1
ROOTS = (":TRACe", ":DATA")
# Bits of the status word of a reading, and those that they are in the measurement register.
STATUS_BITS = {1: READING_OVERFLOW, 8: IN_COMPLIANCE, 16: PROTECTED, 1 << 16: IN_COMPLIANCE}


def _of_buffer(root: str) -> dict[str, Handler]:
    """Queries of the buffer below a `root` of the tree of commands."""
    return {
        f"{root}:DATA?": lambda self, _: self.encoded(self.shown()),
        f"{root}:CLEar": lambda self, _: self.require_idle_store() or self.clear_store(),
        f"{root}:POINts?": lambda self, _: str(self.size),
        f"{root}:POINts:ACTual?": lambda self, _: str(len(self.stored)),
        f"{root}:FEED?": lambda self, _: self.feed,
        f"{root}:FEED:CONTrol?": lambda self, _: "NEXT" if self.storing else "NEV",
        f"{root}:TSTamp:FORMat?": lambda self, _: self.timestamps,
    }


class Keithley24xxStore(ScpiPanel):
    """An instrument with a buffer of readings.

    Attributes
    ----------
    stored
        The readings in the buffer, oldest first.
    storing
        Whether readings are stored.

    """

    functions: list[str]
    settings: ClassVar[tuple[Any, ...]] = (
        Setting(":CALCulate3:FORMat", "statistic", Choice("MEAN", "SDEViation", "MAXimum", "MINimum", "PKPK")),
    )
    handlers: ClassVar[dict[str, str | Handler]] = {
        **{header: handler for root in ROOTS for header, handler in _of_buffer(root).items()},
        ":STATus:MEASurement[:EVENt]?": lambda self, _: str(self.take_event()),
        ":STATus:MEASurement:CONDition?": lambda self, _: str(self.measured_bits),
        ":STATus:MEASurement:ENABle?": lambda self, _: str(self.measurement_enable),
        ":STATus:OPERation[:EVENt]?": "0",
        ":STATus:OPERation:CONDition?": str(IDLE),
        ":STATus:QUEStionable[:EVENt]?": "0",
        ":STATus:QUEStionable:CONDition?": "0",
        ":STATus:QUEue[:NEXT]?": lambda self, _: self.next_error(),
        ":STATus:QUEue:CLEar": lambda self, _: self.errors.clear(),
        ":SYSTem:CLEar": lambda self, _: self.errors.clear(),
        ":STATus:PRESet": lambda self, _: self.preset_status(),
    }

    def switch_on(self) -> None:
        """Start as after power-up, with an empty buffer."""
        self.stored: list[Reading] = []
        self.size, self.feed, self.timestamps = 100, "SENS", "ABS"
        self.storing, self._overwrites = False, False
        self.measured_bits, self._event, self.measurement_enable = 0, 0, 0
        super().switch_on()

    def encoded(self, readings: list[Reading]) -> str | bytes:
        """`readings` in the format of the answers."""
        raise NotImplementedError

    # --- buffer -----------------------------------------------------------------------------------------

    def store(self, reading: Reading) -> None:
        """Store a reading if the buffer is active, and note what it says in the measurement register."""
        if self.storing:
            if self._overwrites:
                self.stored, self._overwrites = [], False
            self.stored.append(reading)
            self.storing = len(self.stored) < self.size
        status = int(reading["STAT"])
        self._event |= READING_AVAILABLE
        self._note(sum({found for bit, found in STATUS_BITS.items() if status & bit}))

    def _note(self, bits: int = 0) -> None:
        """The condition from now on; a bit that was not set is an event."""
        filled = len(self.stored)
        bits |= AVAILABLE * (filled >= 2) | FULL * (filled >= self.size)
        self._event |= bits & ~self.measured_bits
        self.measured_bits = bits

    def shown(self) -> list[Reading]:
        """The stored readings with the time since the first one, or since the one before."""
        if not self.stored:
            raise ScpiError(-230)
        times = [one["TIME"] for one in self.stored]
        before = [times[0], *times[:-1]] if self.timestamps == "DELT" else [times[0]] * len(times)
        return [one | {"TIME": one["TIME"] - then} for one, then in zip(self.stored, before, strict=True)]

    def clear_store(self) -> None:
        """Delete the readings."""
        self.stored = []
        self._note()

    def require_idle_store(self) -> None:
        """Refuse what is not possible while readings are stored."""
        if self.storing:
            raise ScpiError(800, TEXTS[800])

    @command(*(f"{root}:POINts" for root in ROOTS))
    def _set_size(self, call: Call) -> None:
        call.expect(1)
        size = call.parse(0, Integer(100, 1, MOST_READINGS))
        self.require_idle_store()
        self.size = size
        self.clear_store()

    @command(*(f"{root}:FEED" for root in ROOTS))
    def _set_feed(self, call: Call) -> None:
        call.expect(1)
        feed = Choice("SENSe", "CALCulate", "CALCulate2").parse(call.arguments[0].upper().removesuffix("1"))
        self.require_idle_store()
        self.feed = feed

    @command(*(f"{root}:FEED:CONTrol" for root in ROOTS))
    def _set_control(self, call: Call) -> None:
        call.expect(1)
        self.storing = self._overwrites = call.parse(0, Choice("NEVer", "NEXT")) == "NEXT"

    @command(*(f"{root}:TSTamp:FORMat" for root in ROOTS))
    def _set_timestamps(self, call: Call) -> None:
        call.expect(1)
        self.timestamps = call.parse(0, Choice("ABSolute", "DELTa"))

    @command(":CALCulate3:DATA?")
    def _show_statistic(self, call: Call) -> str:
        call.expect(0)
        if not self.stored:
            raise ScpiError(-230)
        found = []
        for short in ("VOLT", "CURR", "RES"):
            if short in self.functions:
                values = [one[short] for one in self.stored]
                found.append(self.show_number(float(STATISTICS[self.state["statistic"]](values))))
        return ",".join(found)

    # --- status -----------------------------------------------------------------------------------------

    def take_event(self) -> int:
        """The measurement event register, which reading clears."""
        event, self._event = self._event, 0
        return event

    def preset_status(self) -> None:
        """Enable no event."""
        self.measurement_enable = 0

    def clear_status(self) -> None:
        """Clear the event registers and the error queue."""
        super().clear_status()
        self._event = 0

    def summary_bits(self) -> int:
        """Those of any panel, and that of the measurement register."""
        return super().summary_bits() | MEASUREMENT_SUMMARY * bool(self._event & self.measurement_enable)

    @command(":STATus:MEASurement:ENABle")
    def _enable_measurement(self, call: Call) -> None:
        call.expect(1)
        self.measurement_enable = call.parse(0, Integer(0, 0, 65535))

    @command(":STATus:OPERation:ENABle", ":STATus:QUEStionable:ENABle")
    def _enable_others(self, call: Call) -> None:
        """Accept what has no effect: their events are not simulated."""
        call.number(0, 0, 65535)
