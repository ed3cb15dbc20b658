"""Front panel of a Keithley 2450 source-meter (reference manual 2450-901-01) in its SCPI language.

It sources voltage or current and measures current, voltage or resistance. Sweeps are of voltage only: one of current is
a settings conflict. Limit tests (`:CALC2`), which change no reading, are not simulated. Assumed: that the measured
value at the other terminals enters the units OHM and WATT (`:UNIT`, reference manual of the 2461, 6-72).
"""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keithley_buffer import ReadingBuffer, StoredReading
from sim_instruments.panels.keithley_math import OVERFLOW, calculated, math_settings
from sim_instruments.panels.keithley_trigger import TriggerPanel
from sim_instruments.panels.scpi import with_auto
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch, Text
from sim_instruments.world import SourceState

__all__ = ["Keithley2450Panel"]

SOURCE_RANGES = {"VOLT": (0.02, 0.2, 2.0, 20.0, 200.0), "CURR": tuple(10.0**n for n in range(-8, 1))}
SENSE_RANGES = {**SOURCE_RANGES, "RES": tuple(2 * 10.0**n for n in range(1, 9))}
UNITS = {"VOLT": "Volt DC", "CURR": "Amp DC", "RES": "Ohm"}
# Unit of a function that has others → those in SCPI notation, the default first.
OTHER_UNITS = {"VOLT": ("VOLT", "OHM", "WATT"), "CURR": ("AMP", "OHM", "WATT")}
HEADROOM = 1.05  # a range extends 5 % beyond its nominal value
# Part of the voltage limit at which a current source counts as limited.
AT_LIMIT = 0.999
# 20 mV range: 500 nV steps, and so on (specification, "programming resolution").
SOURCE_STEP = 2.5e-5
# 10 nA range: 10 fA (6½ digits).
READING_STEP = 1e-6

STATUS_READBACK, STATUS_LIMIT, STATUS_FOUR_WIRE, STATUS_OUTPUT = 8, 32, 64, 128

DRIVING = ("level", "source range", "source range auto", "limit")

SENSE_FUNCTIONS = {"VOLTage[:DC]": "VOLT", "CURRent[:DC]": "CURR", "RESistance": "RES"}
SENSE_FUNCTION = Choice("VOLTage", "CURRent", "RESistance")
SHOWN = {"VOLT": '"VOLT:DC"', "CURR": '"CURR:DC"', "RES": '"RES"'}


def enclosing_range(ranges: tuple[float, ...], value: float) -> float:
    """Return the lowest range that holds `value`; the highest one if none does."""
    return next((limit for limit in ranges if abs(value) <= limit * HEADROOM), ranges[-1])


def _sense_settings() -> Iterator[Setting]:
    for header, function in SENSE_FUNCTIONS.items():
        at = f"[:SENSe<n>]:{header}"
        ranges = SENSE_RANGES[function]
        yield Setting(f"{at}:RANGe[:UPPer]", f"{function} range", Number(ranges[2], -ranges[-1], ranges[-1] * HEADROOM))
        yield Setting(f"{at}:RANGe:AUTO", f"{function} range auto", Switch(True))
        yield Setting(f"{at}:NPLCycles", f"{function} nplc", Number(1.0, 0.01, 10.0))
        yield Setting(f"{at}:RSENse", f"{function} four-wire", Switch(False))
        yield Setting(f"{at}:AZERo[:STATe]", f"{function} autozero", Switch(True))
        yield Setting(f"{at}:AVERage[:STATe]", f"{function} filter", Switch(False))
        yield Setting(f"{at}:AVERage:COUNt", f"{function} filter count", Integer(10, 1, 100))
        yield Setting(f"{at}:AVERage:TCONtrol", f"{function} filter type", Choice("REPeat", "MOVing"))
        for user in range(1, 6):
            yield Setting(f"{at}:DELay:USER{user}", f"{function} user delay {user}", Number(0.0, 0.0, 1e4))
        yield from math_settings(function, header)
        if function in OTHER_UNITS:
            yield Setting(f"{at}:UNIT", f"{function} unit", Choice(*OTHER_UNITS[function]))


def _source_settings() -> Iterator[Setting]:
    for header, function, limit, bound, largest_limit, default_limit in (
        ("VOLTage", "VOLT", "ILIMit", 210.0, 1.05, 1.05e-4),
        ("CURRent", "CURR", "VLIMit", 1.05, 210.0, 21.0),
    ):
        at = f":SOURce<n>:{header}"
        ranges = SOURCE_RANGES[function]
        yield Setting(f"{at}[:LEVel][:IMMediate][:AMPLitude]", f"{function} level", Number(0.0, -bound, bound))
        source_range = Number(ranges[0], -ranges[-1], ranges[-1] * HEADROOM)
        yield from with_auto(Setting(f"{at}:RANGe", f"{function} source range", source_range))
        yield Setting(f"{at}:{limit}[:LEVel]", f"{function} limit", Number(default_limit, 1e-9, largest_limit))
        yield from with_auto(Setting(f"{at}:DELay", f"{function} delay", Number(0.0, 0.0, 1e4)))
        yield Setting(f"{at}:READ:BACK", f"{function} readback", Switch(True))
        yield Setting(f"{at}:HIGH:CAPacitance", f"{function} high capacitance", Switch(False))
        for user in range(1, 6):
            yield Setting(f"{at}:DELay:USER{user}", f"{function} source user delay {user}", Number(0.0, 0.0, 1e4))
        yield Setting(
            f":OUTPut<n>:{header}:SMODe", f"{function} off state", Choice("NORMal", "HIMPedance", "ZERO", "GUARd")
        )


STORED = tuple(setting for setting in _source_settings() if setting.header.startswith(":SOURce<n>:VOLTage"))


class _Sweep(NamedTuple):
    """A linear sweep: levels (V) in order, delay before each reading (s), end at the limit?, name of the buffer."""

    levels: list[float]
    delay: float
    abort_on_limit: bool
    buffer: str


class Keithley2450Panel(TriggerPanel):
    """A Keithley 2450 across the bias line."""

    identification = "KEITHLEY INSTRUMENTS,MODEL 2450,TWIN0001,1.7.12b"
    resource = "USB{}::0x05E6::0x2450::04000001::0::INSTR"
    handlers: ClassVar = {
        "*LANG?": "SCPI",
        "[:SENSe<n>]:FUNCtion[:ON]?": lambda self, _: SHOWN[self.sense_function],
        "[:SENSe<n>]:AZERo:ONCE": lambda self, _: self.world.clock.sleep(2 * self.integration_time()),
        ":READ?": lambda self, call: self._read(call),
        ":MEASure?": lambda self, call: self._read(call),
        ":MEASure:CURRent[:DC]?": lambda self, call: self._read(call, "CURR"),
        ":MEASure:VOLTage[:DC]?": lambda self, call: self._read(call, "VOLT"),
        ":MEASure:RESistance?": lambda self, call: self._read(call, "RES"),
    }
    number_format = ".6E"
    settings: ClassVar[tuple[Any, ...]] = (
        *_source_settings(),
        *_sense_settings(),
        Setting(":SOURce<n>:FUNCtion[:MODE]", "source function", Choice("VOLTage", "CURRent")),
        Setting(":OUTPut<n>[:STATe]", "output", Switch(False)),
        Setting(":ROUTe:TERMinals", "terminals", Choice("FRONt", "REAR")),
        Setting(":SENSe<n>:RESistance:OCOMpensated", "offset compensation", Switch(False)),
    )

    def switch_on(self) -> None:
        """Start as after power-up."""
        self._terminals = self.wires.terminals(self.world)
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: 0 V, output off, autorange, empty buffers."""
        super().reset()
        self.sense_function = "CURR"
        self._drive()

    def clear_model(self) -> None:
        """Delete blocks and sweep."""
        super().clear_model()
        self._sweep: _Sweep | None = None

    # --- source -----------------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse a level beyond the range, a range below the level, and both while a trigger model is running."""
        function, _, what = name.partition(" ")
        if what in DRIVING or name == "source function":
            self.require_stopped()
        if what == "level" and not self.state[f"{function} source range auto"]:
            if abs(value) > self.state[f"{function} source range"] * HEADROOM:
                raise ScpiError(-222)
        elif what == "source range":
            chosen = enclosing_range(SOURCE_RANGES[function], value)
            if abs(self.state[f"{function} level"]) > chosen * HEADROOM:
                raise ScpiError(-221)
        elif name == "source function" and self.state["output"] and value != self.state[name]:
            raise ScpiError(-221)

    def setting_changed(self, name: str) -> None:
        """Choose ranges, and drive the bias line."""
        function, _, what = name.partition(" ")
        super().setting_changed(name)
        if what == "range":
            self.state[name] = enclosing_range(SENSE_RANGES[function], self.state[name])
        elif what == "source range":
            self.state[name] = enclosing_range(SOURCE_RANGES[function], self.state[name])
        if name == "output" and not self.state[name]:
            self.abort_operation()
        if what in DRIVING or name in ("output", "source function"):
            self._settle_source(function if function in SOURCE_RANGES else "VOLT")
            self._drive()

    def _settle_source(self, function: str) -> None:
        """Autorange the source, then round the level to the range's programming resolution."""
        if self.state[f"{function} source range auto"]:
            level_range = enclosing_range(SOURCE_RANGES[function], self.state[f"{function} level"])
            self.state[f"{function} source range"] = level_range
        step = self.state[f"{function} source range"] * SOURCE_STEP
        self.state[f"{function} level"] = round(self.state[f"{function} level"] / step) * step

    @property
    def _sources_current(self) -> bool:
        return bool(self.state["source function"] == "CURR")

    def _drive(self) -> None:
        level, limit, output = self.state["VOLT level"], self.state["VOLT limit"], self.state["output"]
        if self._sources_current and output:
            level, limit = self.wires.sourcing_current(self.world, self.state["CURR level"], self.state["CURR limit"])
        self._terminals.set_source(level=level, output=output, current_limit=limit)

    def _at_limit(self, terminals: SourceState) -> bool:
        """Whether the limit acts: of the current, or, of a current source, of the voltage."""
        if self._sources_current:
            return bool(abs(terminals.voltage) >= AT_LIMIT * self.state["CURR limit"])
        return terminals.limited

    def source_settings(self) -> dict[str, Any]:
        """The voltage source's settings now, as a configuration list stores them."""
        return {setting.name: self.state[setting.name] for setting in STORED}

    def recall_source(self, settings: dict[str, Any]) -> None:
        """Apply stored settings, including the level."""
        self.state.update(settings)
        self._settle_source("VOLT")
        self._drive()

    @command(":SOURce<n>:VOLTage:ILIMit[:LEVel]:TRIPped?", ":SOURce<n>:CURRent:VLIMit[:LEVel]:TRIPped?")
    def _limit_tripped(self, call: Call) -> str:
        found = self._terminals.source_state(1 / self.world.wiring.line_frequency)
        return "1" if self.state["output"] and self._at_limit(found) else "0"

    # --- measurement ------------------------------------------------------------------------------------

    @command("[:SENSe<n>]:FUNCtion[:ON]")
    def _set_sense_function(self, call: Call) -> None:
        call.expect(1)
        self.sense_function = SENSE_FUNCTION.parse(call.parse(0, Text()).upper().removesuffix(":DC"))

    def integration_time(self) -> float:
        """Time of one reading (s), the repeating filter included."""
        function = self.sense_function
        cycles: float = self.state[f"{function} nplc"]
        if self.state[f"{function} filter"]:
            cycles *= self.state[f"{function} filter count"]
        return cycles / self.world.wiring.line_frequency

    def measure(self, buffer: ReadingBuffer) -> StoredReading:
        """Take one reading now; it lasts the integration time."""
        self.world.clock.sleep(self.integration_time())
        return self.store_reading(buffer)

    def store_reading(self, buffer: ReadingBuffer) -> StoredReading:
        """Store the reading whose integration ends now."""
        function, duration = self.sense_function, self.integration_time()
        ranges = self.state["VOLT source range"], self.state["CURR range"]
        terminals = self._terminals.source_state(duration, *ranges)
        sourced = self.state["source function"]
        readback = self.state[f"{sourced} readback"]
        values = {"VOLT": terminals.voltage, "CURR": terminals.current}
        source = self._digitise(sourced, self.state[f"{sourced} source range"], values[sourced])
        if function == "RES":
            value = terminals.voltage / terminals.current if terminals.current else OVERFLOW
        else:
            value = values[function]
        if self.state[f"{function} range auto"]:
            self.state[f"{function} range"] = enclosing_range(SENSE_RANGES[function], value)
        status = STATUS_OUTPUT * self.state["output"] + STATUS_READBACK * readback
        status += (
            STATUS_LIMIT * (self.state["output"] and self._at_limit(terminals))
            + STATUS_FOUR_WIRE * self.state[f"{function} four-wire"]
        )
        reading = StoredReading(
            time=self.world.clock.time(),
            source=source if readback else self.state[f"{sourced} level"],
            value=self._calculated(
                function, terminals, self._digitise(function, self.state[f"{function} range"], value)
            ),
            status=8 * (self.state["terminals"] == "FRON"),
            source_status=status,
            unit={"OHM": "Ohm", "WATT": "Watt DC"}.get(self.state.get(f"{function} unit", ""), UNITS[function]),
            source_unit=UNITS[sourced],
        )
        buffer.store(reading)
        return reading

    def _digitise(self, function: str, full_scale: float, value: float) -> float:
        """Round `value` to the resolution of a range, or overflow."""
        if abs(value) > full_scale * HEADROOM:
            return OVERFLOW
        step = full_scale * READING_STEP
        return round(value / step) * step

    def _calculated(self, function: str, terminals: SourceState, value: float) -> float:
        """A reading `value` (V, A or ohm) in the unit of its function, after relative offset and math."""
        other = terminals.current if function == "VOLT" else terminals.voltage
        unit = self.state.get(f"{function} unit")
        if abs(value) < OVERFLOW and unit == "WATT":
            value *= other
        elif abs(value) < OVERFLOW and unit == "OHM":
            over, under = (value, other) if function == "VOLT" else (other, value)
            value = over / under if under else OVERFLOW
        return calculated(self.state, function, value)

    def _read(self, call: Call, function: str = "") -> str | bytes:
        self.sense_function = function or self.sense_function
        self.require_stopped()
        return self.take_readings(call)

    # --- sweep ------------------------------------------------------------------------------------------

    @command(":SOURce<n>:SWEep:VOLTage:LINear")
    def _set_sweep(self, call: Call) -> None:
        self.require_stopped()
        call.expect(3, 9)
        level = Number(0.0, -210.0, 210.0)
        start, stop = call.parse(0, level), call.parse(1, level)
        points = int(call.number(2, 2, 1_000_000))
        delay = call.optional(3, Number(-1.0, -1, 1e4))
        repeats = int(call.optional(4, Number(1, 0, 268_435_455)))
        call.optional(5, Choice("AUTO", "BEST", "FIXed"))
        abort_on_limit = call.optional(6, Switch(True))
        name = self.buffer_name(call, 8)
        self.clear_model()
        levels = [start + (stop - start) * index / (points - 1) for index in range(points)]
        self._sweep = _Sweep(levels * max(1, repeats), max(0.0, delay), abort_on_limit, name)

    def run_sweep(self) -> None:
        """Run the linear sweep. It is complete on return, so `*WAI` and `*OPC?` need not wait."""
        buffer = self.buffers.get(self._sweep.buffer) if self._sweep else None
        if self._sweep is None or buffer is None or self.state["source function"] == "CURR":
            raise ScpiError(-221)
        buffer.readings.clear()
        self.state["output"] = True
        for level in self._sweep.levels:
            self.state["VOLT level"] = level
            self._settle_source("VOLT")
            self._drive()
            self.world.clock.sleep(self._sweep.delay)
            reading = self.measure(buffer)
            if self._sweep.abort_on_limit and reading.source_status & STATUS_LIMIT:
                break
        self.state["output"] = False
        self._drive()

    # --- system -----------------------------------------------------------------------------------------

    @command("*LANG")
    def _set_language(self, call: Call) -> None:
        call.parse(0, Choice("SCPI"))
