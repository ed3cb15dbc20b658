"""Front panel of a Keithley DMM6500 multimeter in its SCPI language.

Commands are from its drivers in QCoDeS, qcodes_contrib_drivers and pymeasure, a page of the DMM7510 reference manual
(DMM7510-901-01 Rev. B, 6-11) and programs of users. Assumed, as the manual at hand does not say it: whether the answer
of FUNCtion? has quotes (QCoDeS's driver needs none, pymeasure's removes them; `quoted` chooses), the digits of an
answer with the precision 0 (seven, as of the 2450), the answer of ROUTe:CLOSe? without closed channels, the error of a
command for a scanner card that is not there (-241), that of READ? while a trigger model runs (-221) and of a buffer
that is filled once and full (4915), and that such a READ? has no answer.

The loading of the device by 10 Mohm, the drift without autozero, scans, digitizing and the emulations of other models
are not simulated. Functions other than direct voltage and current can be selected and read nothing (resistance:
overload).
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.keithley_buffer import BufferPanel, ReadingBuffer, StoredReading
from sim_instruments.panels.keithley_math import calculated, math_settings
from sim_instruments.panels.multimeter_input import OVERFLOW, metered_input, named_function
from sim_instruments.panels.scpi_values import Call, Choice, Integer, Number, ScpiError, Switch, Text

__all__ = ["KeithleyDMM6500Panel"]

OVERRANGE = 1.2
WITHOUT_OVERRANGE = (1000.0, 3.0)
AUTOMATIC_DELAY = 1e-3
EMPTY, PSEUDO = "Empty Slot", "2000,Pseudo 10Ch Mux,0.0.0a,00000000"
VOLTS = tuple(10.0**n for n in range(-1, 4))
OHMS = tuple(10.0**n for n in range(1, 9))
AMPERES = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0)
RANGES: dict[str, tuple[float, ...]] = {
    "VOLT:DC": VOLTS, "CURR:DC": AMPERES, "VOLT:AC": (0.1, 1.0, 10.0, 100.0, 750.0), "CURR:AC": AMPERES[2:],
    "RES": OHMS, "FRES": (1.0, *OHMS), "CAP": tuple(10.0**n for n in range(-9, -3)), "VOLT:DC:RAT": VOLTS,
    "FREQ:VOLT": (0.1, 1.0, 10.0, 100.0, 750.0), "PER:VOLT": (0.1, 1.0, 10.0, 100.0, 750.0),
}  # fmt: skip
UNITS = {"VOLT:DC": "Volt DC", "CURR:DC": "Amp DC", "RES": "Ohm", "FRES": "Ohm"}
HEADERS = {
    "VOLT:DC": "VOLTage[:DC]", "CURR:DC": "CURRent[:DC]", "VOLT:AC": "VOLTage:AC", "CURR:AC": "CURRent:AC",
    "RES": "RESistance", "FRES": "FRESistance", "DIOD": "DIODe", "CAP": "CAPacitance", "TEMP": "TEMPerature",
    "CONT": "CONTinuity", "FREQ:VOLT": "FREQuency[:VOLTage]", "PER:VOLT": "PERiod[:VOLTage]",
    "VOLT:DC:RAT": "VOLTage[:DC]:RATio",
}  # fmt: skip
INTEGRATING = ("VOLT:DC", "CURR:DC", "RES", "FRES", "DIOD", "TEMP", "VOLT:DC:RAT")
SPELLED = {
    "VOLTage": "VOLT:DC", "CURRent": "CURR:DC", "FREQuency": "FREQ:VOLT", "PERiod": "PER:VOLT",
    **{header.replace("[:", ":").replace("]", ""): function for function, header in HEADERS.items()},
}  # fmt: skip
LANGUAGE = Choice("SCPI", "TSP", "SCPI2000", "SCPI34401")
BACKLIGHT = Choice("ON50", "ON100", "ON75", "ON25", "OFF", "BLACkout")
STIMULUS = Choice(
    "NONE", "TIMer1", "TIMer2", "TIMer3", "TIMer4", "NOTify1", "NOTify2", "NOTify3", "DISPlay", "COMMand", "EXTernal"
)


def _sense_settings() -> Iterator[Setting]:
    """The settings of every function."""
    for function, header in HEADERS.items():
        at = f"[:SENSe<n>]:{header}"
        own = RANGES.get(function, ())
        if own:
            yield Setting(f"{at}:RANGe[:UPPer]", f"{function} range", Number(own[-1], 0.0, own[-1]))
            yield Setting(f"{at}:RANGe:AUTO", f"{function} range auto", Switch(True))
        if function in INTEGRATING:
            yield Setting(f"{at}:NPLCycles", f"{function} nplc", Number(1.0, 5e-4, 15.0))
            yield Setting(f"{at}:AZERo[:STATe]", f"{function} autozero", Switch(True))
            yield Setting(f"{at}:LINE:SYNC", f"{function} in step", Switch(False))
        yield Setting(f"{at}:AVERage[:STATe]", f"{function} filter", Switch(False))
        yield Setting(f"{at}:AVERage:COUNt", f"{function} filter count", Integer(10, 1, 100))
        yield Setting(f"{at}:AVERage:TCONtrol", f"{function} filter type", Choice("REPeat", "MOVing", "HYBRid"))
        yield Setting(f"{at}:AVERage:WINDow", f"{function} filter window", Number(0.0, 0.0, 10.0))
        yield Setting(f"{at}:DELay:AUTO", f"{function} delay auto", Switch(True))
        yield Setting(f":DISPlay:{header}:DIGits", f"{function} digits", Integer(6, 3, 6))
        yield from math_settings(function, header)
    for header in ("VOLTage:AC", "CURRent:AC"):
        yield Setting(f"[:SENSe<n>]:{header}:DETector:BANDwidth", f"{header} band", Number(3.0, 3.0, 300.0))


def _trigger_settings() -> Iterator[Setting]:
    for number in range(1, 5):
        at = f":TRIGger:TIMer{number}"
        yield Setting(f"{at}:DELay", f"timer {number} delay", Number(1e-5, 8e-6, 1e5))
        yield Setting(f"{at}:STARt:STIMulus", f"timer {number} start", STIMULUS)


def _measuring() -> dict[str, Any]:
    """MEASure? of each function."""
    return {
        f":MEASure:{header}?": lambda self, call, function=function: self.measure_function(function, call)
        for function, header in HEADERS.items()
    }


def _acquiring() -> dict[str, Any]:
    """RELative:ACQuire and APERture of each function."""

    def acquire(panel: Any, call: Call, function: str) -> None:
        call.expect(0)
        panel.state[f"{function} relative value"] = panel.measure(ReadingBuffer()).value

    def aperture(panel: Any, call: Call, function: str) -> None:
        cycles = call.number(0, 8.333e-6, 0.25) * panel.world.wiring.line_frequency
        panel.state[f"{function} nplc"] = max(5e-4, cycles)

    found: dict[str, Any] = {}
    for function, header in HEADERS.items():
        at = f"[:SENSe<n>]:{header}"
        found[f"{at}:RELative:ACQuire"] = lambda panel, call, function=function: acquire(panel, call, function)
        if function in INTEGRATING:
            found[f"{at}:APERture"] = lambda panel, call, function=function: aperture(panel, call, function)
            found[f"{at}:APERture?"] = lambda panel, _, function=function: panel.show_number(
                panel.state[f"{function} nplc"] / panel.world.wiring.line_frequency
            )
    return found


class KeithleyDMM6500Panel(BufferPanel):
    """A DMM6500 at the device, at an amplifier behind it, or in series with it."""

    identification = "KEITHLEY INSTRUMENTS,MODEL DMM6500,TWIN0081,1.7.12b"
    resource = "USB{}::0x05E6::0x6500::04400081::0::INSTR"
    number_format = ".6E"
    quoted: ClassVar[bool] = False
    settings: ClassVar[tuple[Any, ...]] = (
        *_sense_settings(),
        *_trigger_settings(),
        Setting("[:SENSe<n>]:VOLTage[:DC]:INPutimpedance", "impedance", Choice("MOHM10", "AUTO")),
        Setting("[:SENSe<n>]:VOLTage[:DC]:UNIT", "unit", Choice("VOLT", "DB", "DBM")),
        Setting("[:SENSe<n>]:VOLTage[:DC]:DB:REFerence", "dB reference", Number(1.0, 1e-7, 1000.0)),
        Setting("[:SENSe<n>]:VOLTage[:DC]:DBM:REFerence", "dBm reference", Integer(50, 1, 9999)),
        Setting(":DISPlay:LIGHt:STATe", "backlight", BACKLIGHT),
        Setting(":DISPlay:USER1:TEXT[:DATA]", "first line", Text()),
        Setting(":DISPlay:USER2:TEXT[:DATA]", "second line", Text()),
        Setting(":ROUTe:SCAN:COUNt:SCAN", "scans", Integer(1, 0, 100_000_000)),
        Setting(":ROUTe:SCAN:INTerval", "interval", Number(0.0, 0.0, 1e5)),
    )
    handlers: ClassVar = {
        **_measuring(),
        **_acquiring(),
        "*LANG?": lambda self, _: self.language,
        "[:SENSe<n>]:AZERo:ONCE": lambda self, _: self.world.clock.sleep(2 * self.integration_time()),
        "[:SENSe<n>]:FUNCtion[:ON]?": lambda self, call: self._shown_function(call),
        ":SYSTem:CARD1:VCHannel[:STARt]?": lambda self, _: self._of_card("1"),
        ":SYSTem:CARD1:VCHannel:END?": lambda self, _: self._of_card("10"),
        ":SYSTem:CARD1:VMAX?": lambda self, _: self._of_card("110"),
        ":ROUTe:TERMinals?": lambda self, _: self.terminals,
        ":ROUTe[:CHANnel]:OPEN:ALL": lambda self, _: self.closed.clear(),
        ":SYSTem:CARD1:IDN?": lambda self, _: self.card,
        ":DISPlay:CLEar": lambda self, _: self.state.update({"first line": "", "second line": ""}),
        ":DISPlay:SCReen": lambda self, call: call.expect(1),
        ":MEASure?": lambda self, call: self.measure_function(self.function, call),
        ":READ?": lambda self, call: self.measure_function(self.function, call),
    }

    def switch_on(self) -> None:
        """Start as after power-up, with the switch of the terminals at the front and no scanner card."""
        self.terminals, self.card = "FRON", EMPTY
        self.closed: list[str] = []
        # The language changes when the instrument is switched on.
        self.language = self._next_language = getattr(self, "_next_language", "SCPI")
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: direct voltage, automatic range, 1 cycle, autozero, empty buffers."""
        super().reset()
        self.function = "VOLT:DC"
        self._channel_functions: dict[str, str] = {}
        self._filtered: deque[float] = deque(maxlen=100)
        self._model = "EMPTY"

    def execute_unit(self, unit: str) -> str | bytes | None:
        """As of every SCPI panel; in another language only common commands are understood."""
        if self.language != "SCPI" and not unit.strip().startswith("*"):
            raise ScpiError(-285, "TSP syntax error")
        return super().execute_unit(unit)

    # --- settings ---------------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse more cycles than the mains allow."""
        if name.endswith("nplc") and self.world.wiring.line_frequency == 50.0 and value > 12.0:
            raise ScpiError(-222)

    def setting_changed(self, name: str) -> None:
        """Choose the range that includes a value."""
        super().setting_changed(name)
        function, _, what = name.partition(" ")
        if what == "range":
            self.state[name] = next(one for one in RANGES[function] if self.state[name] <= one * (1 + 1e-9))
        self._filtered.clear()

    @command("[:SENSe<n>]:FUNCtion[:ON]")
    def _set_function(self, call: Call) -> None:
        call.expect(1, 2)
        function = named_function(SPELLED, call.parse(0, Text()))
        if len(call.arguments) > 1:
            self._require_card()
            self._channel_functions[call.arguments[1]] = function
            return
        self.function = function
        self._filtered.clear()

    @command("*LANG")
    def _set_language(self, call: Call) -> None:
        self._next_language = call.parse(0, LANGUAGE)

    # --- scanner card -----------------------------------------------------------------------------------

    def _require_card(self) -> None:
        if self.card == EMPTY:
            raise ScpiError(-241)

    def _of_card(self, answer: str) -> str:
        self._require_card()
        return answer

    def _shown_function(self, call: Call) -> str:
        found = self.function
        if call.arguments:
            found = self._of_card(self._channel_functions.get(call.arguments[0], "NONE"))
        return f'"{found}"' if self.quoted else found

    @command(":SYSTem:PCARd1")
    def _set_pseudo_card(self, call: Call) -> None:
        number = round(call.number(0))
        if number not in (0, 2000):
            raise ScpiError(-224)
        if self.card in (EMPTY, PSEUDO):
            self.card = PSEUDO if number else EMPTY

    @command(":ROUTe[:CHANnel]:CLOSe")
    def _close(self, call: Call) -> None:
        call.expect(1)
        self._require_card()
        self.closed = [call.arguments[0]]
        self.function = self._channel_functions.get(call.arguments[0], self.function)

    @command(":ROUTe[:CHANnel]:CLOSe?")
    def _show_closed(self, call: Call) -> str:
        self._require_card()
        return self.closed[0] if self.closed else "(@)"

    # --- trigger model ----------------------------------------------------------------------------------

    @command(":TRIGger:STATe?")
    def _trigger_state(self, call: Call) -> str:
        if self._model == "RUNNING" and not self.operation_pending():
            self._model = "IDLE"
        return f"{self._model};{self._model};{0 if self._model == 'EMPTY' else 1}"

    @command(":TRIGger:LOAD")
    def _load(self, call: Call) -> None:
        call.expect(1, 5)
        named = call.parse(0, Text()).upper()
        if named not in ("EMPTY", "SIMPLELOOP", "DURATIONLOOP"):
            raise ScpiError(-224)
        self._model = "EMPTY" if named == "EMPTY" else "IDLE"

    @command(":INITiate[:IMMediate]")
    def _initiate(self, call: Call) -> None:
        if self._model != "IDLE":
            raise ScpiError(-213)
        self._model = "RUNNING"
        self.start_operation(math.inf)

    def abort_operation(self) -> None:
        """End a running trigger model."""
        super().abort_operation()
        if getattr(self, "_model", "EMPTY") == "RUNNING":
            self._model = "ABORTED"

    # --- measurement ------------------------------------------------------------------------------------

    def integration_time(self) -> float:
        """Time of one integration (s), without that of zero."""
        cycles: float = self.state.get(f"{self.function} nplc", 1.0)
        return cycles / self.world.wiring.line_frequency

    def measure_function(self, function: str, call: Call) -> str | bytes:
        """Select a function and read it."""
        if self._model == "RUNNING":
            raise ScpiError(-221)
        self.function = function
        return self.take_readings(call)

    def _integrated(self) -> float:
        """One integration of the input, with that of zero."""
        function = self.function
        cycle = 1 / self.world.wiring.line_frequency
        if self.state.get(f"{function} in step"):
            self.world.clock.sleep(-self.world.clock.time() % cycle)
        delay = AUTOMATIC_DELAY if self.state[f"{function} delay auto"] else 0.0
        self.world.clock.sleep(delay + self.integration_time() * (1 + self.state.get(f"{function} autozero", 0)))
        if function not in ("VOLT:DC", "CURR:DC"):
            return OVERFLOW if function in ("RES", "FRES", "CONT", "DIOD") else 0.0
        automatic = self.state[f"{function} range auto"]
        held = 0.0 if automatic else self.state[f"{function} range"]
        measures: Any = function[:4]
        value = 0.0
        if self.terminals == "FRON":
            value = metered_input(self.world, self.wires, measures, self.integration_time(), held)
        if automatic:
            own = RANGES[function]
            self.state[f"{function} range"] = next((one for one in own if abs(value) <= one * OVERRANGE), own[-1])
        full = self.state[f"{function} range"]
        if self.overloaded or abs(value) > full * (1.0 if full in WITHOUT_OVERRANGE else OVERRANGE):
            return math.copysign(OVERFLOW, value)
        step: float = full * 1e-7
        return round(value / step) * step

    def _average(self) -> float:
        """One reading, after the filter."""
        if not self.state[f"{self.function} filter"]:
            return self._integrated()
        count = self.state[f"{self.function} filter count"]
        if self.state[f"{self.function} filter type"] == "REP":
            self._filtered.clear()
            self._filtered.extend([self._integrated() for _ in range(count)])
        else:
            self._filtered.append(self._integrated())
        last = list(self._filtered)[-count:]
        beyond = next((value for value in last if abs(value) >= OVERFLOW), None)
        return sum(last) / len(last) if beyond is None else beyond

    def _calculated(self, value: float) -> float:
        """After unit, relative offset and math."""
        function = self.function
        if abs(value) >= OVERFLOW:
            return value
        if function == "VOLT:DC" and self.state["unit"] != "VOLT":
            watts = 1e-3 * self.state["dBm reference"]
            reference = self.state["dB reference"] if self.state["unit"] == "DB" else math.sqrt(watts)
            value = 20 * math.log10(max(abs(value), 1e-12) / reference)
        return calculated(self.state, function, value)

    def measure(self, buffer: ReadingBuffer) -> StoredReading:
        """Take one reading now."""
        value = self._calculated(self._average())
        reading = StoredReading(
            time=self.world.clock.time(),
            source=0.0,
            value=value,
            status=8 * (self.terminals == "FRON"),
            source_status=0,
            unit=UNITS.get(self.function, ""),
        )
        buffer.store(reading)
        return reading

    def answer(self, readings: list[StoredReading], names: tuple[str, ...]) -> str | bytes:
        """As of every Keithley; there is no source."""
        if any(name.startswith("SOUR") for name in names):
            raise ScpiError(1133, "Parameter 4, Syntax error, expected valid name parameters")
        return super().answer(readings, names)
