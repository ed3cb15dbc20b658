"""What the front panels of the Keysight Truevolt multimeters have in common; see `keysight_truevolt_models`.

Facts are from the Truevolt series operating and service guide and its command quick reference; SYSTem:LFRequency?,
which neither has, from the driver of QCoDeS. Assumed, as the guide at hand does not say it: the answer of FORMat?, the
errors of READ? with the trigger source BUS and of FETCh? without readings, that no message is executed while READ?
waits for a trigger, the automatic delay (1.5 ms), and 3 A, 10 A and 1000 V as ranges without overrange.

The loading of the device by 10 Mohm and the drift without autozero are not simulated. Functions other than direct
voltage and current can be selected and read nothing (resistance: overload).
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import Setting, command
from sim_instruments.panels.multimeter_input import OVERFLOW, metered_input, named_function
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import (
    Call,
    Choice,
    Integer,
    Number,
    ScpiError,
    Switch,
    Text,
    encode_values,
)

__all__ = ["AMPERES", "HEADERS", "OHMS", "VOLTS", "Terminals", "TruevoltPanel", "settings_of"]

OVERRANGE = 1.2
AUTOMATIC_DELAY = 1.5e-3
DIRECT = ("VOLT", "CURR")
HEADERS = {
    "VOLT": "VOLTage[:DC]", "CURR": "CURRent[:DC]", "VOLT:AC": "VOLTage:AC", "CURR:AC": "CURRent:AC",
    "RES": "RESistance", "FRES": "FRESistance",
}  # fmt: skip
SPELLED = {
    "VOLTage": "VOLT", "VOLTage:DC": "VOLT", "CURRent": "CURR", "CURRent:DC": "CURR", "VOLTage:AC": "VOLT:AC",
    "CURRent:AC": "CURR:AC", "RESistance": "RES", "FRESistance": "FRES", "FREQuency": "FREQ", "PERiod": "PER",
    "CONTinuity": "CONT", "DIODe": "DIOD", "TEMPerature": "TEMP", "CAPacitance": "CAP",
}  # fmt: skip
VOLTS = tuple(10.0**n for n in range(-1, 4))
AMPERES = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 3.0)
OHMS = tuple(10.0**n for n in range(2, 9))
WITHOUT_OVERRANGE = {"VOLT": 1000.0, "CURR": 3.0}
SMOOTHED = {"SLOW": 100, "MED": 50, "FAST": 10}
LARGEST_NULL = {"V": 1200.0, "C": 12.0, "R": 1.2e8, "F": 1.2e8}


class AutoChoice(Switch):
    """ON, OFF, or ONCE, which does it at once and leaves OFF."""

    def parse(self, text: str) -> Any:
        """ON or OFF, or the text ONCE."""
        return "ONCE" if text.strip().upper() == "ONCE" else super().parse(text)


class Terminals(Integer):
    """3 or 10: the current terminals of that many amperes."""

    def parse(self, text: str) -> int:
        """3 or 10."""
        if (found := super().parse(text)) not in (3, 10):
            raise ScpiError(-222)
        return found


def settings_of(
    ranges: dict[str, tuple[float, ...]], cycles: tuple[float, ...], *, aperture: bool
) -> Iterator[Setting]:
    """The settings of every function, for a model's ranges (V, A, ohm) and power-line cycles."""
    for function, header in HEADERS.items():
        at, own = f"[:SENSe]:{header}", ranges[function.removesuffix(":AC").removeprefix("F")]
        largest = LARGEST_NULL[function[0]]
        yield Setting(f"{at}:RANGe[:UPPer]", f"{function} range", Number(own[-1], 0.0, own[-1]))
        yield Setting(f"{at}:RANGe:AUTO", f"{function} range auto", AutoChoice(True))
        yield Setting(f"{at}:NULL[:STATe]", f"{function} null", Switch(False))
        yield Setting(f"{at}:NULL:VALue", f"{function} null value", Number(0.0, -largest, largest))
        yield Setting(f"{at}:NULL:VALue:AUTO", f"{function} null value auto", Switch(False))
        yield Setting(f"{at}:SECondary", f"{function} secondary", Text("OFF"))
        if not function.endswith("AC"):
            yield Setting(f"{at}:NPLC", f"{function} nplc", Number(10.0, cycles[0], cycles[-1]))
            yield Setting(f"{at}:ZERO:AUTO", f"{function} zero auto", AutoChoice(True))
        if aperture and not function.endswith("AC"):
            yield Setting(f"{at}:APERture", f"{function} aperture", Number(0.1, 20e-6, 2.0))
            yield Setting(f"{at}:APERture:ENABled", f"{function} aperture enabled", Switch(False))


class TruevoltPanel(ScpiPanel):
    """A Truevolt multimeter at the device, at an amplifier behind it, or in series with it."""

    number_format = "+.8E"
    cycles: ClassVar[tuple[float, ...]] = (0.02, 0.2, 1.0, 10.0, 100.0)
    resolutions: ClassVar[tuple[float, ...]] = (1e-4, 1e-5, 3e-6, 1e-6, 0.3e-6)
    ranges: ClassVar[dict[str, tuple[float, ...]]] = {"VOLT": VOLTS, "CURR": AMPERES, "RES": OHMS}
    options = "0,0,0,0,0"
    settings: ClassVar[tuple[Any, ...]] = (
        Setting("[:SENSe]:VOLTage[:DC]:IMPedance:AUTO", "high impedance", Switch(False)),
        Setting(":TRIGger:SOURce", "trigger", Choice("IMMediate", "EXTernal", "BUS", "INTernal")),
        Setting(":TRIGger:COUNt", "triggers", Number(1.0, 1.0, 1e6)),
        Setting(":TRIGger:DELay", "delay", Number(0.0, 0.0, 3600.0)),
        Setting(":TRIGger:DELay:AUTO", "delay auto", Switch(True)),
        Setting(":TRIGger:SLOPe", "slope", Choice("NEGative", "POSitive")),
        Setting(":SAMPle:COUNt", "samples", Integer(1, 1, 1_000_000)),
        Setting(":SAMPle:TIMer", "timer", Number(1.0, 0.0, 3600.0)),
        Setting(":CALCulate:SCALe[:STATe]", "scaling", Switch(False)),
        Setting(":CALCulate:SCALe:FUNCtion", "scale", Choice("DB", "DBM", "PCT", "SCALe")),
        Setting(":CALCulate:SCALe:GAIN", "scale gain", Number(1.0, -1e15, 1e15)),
        Setting(":CALCulate:SCALe:OFFSet", "scale offset", Number(0.0, -1e15, 1e15)),
        Setting(":CALCulate:SCALe:REFerence", "scale reference", Number(1.0, -1e15, 1e15)),
        Setting(":CALCulate:AVERage[:STATe]", "statistics", Switch(False)),
        Setting(":CALCulate:LIMit[:STATe]", "limits", Switch(False)),
        Setting(":FORMat:BORDer", "byte order", Choice("NORMal", "SWAPped")),
        Setting(":DISPlay[:STATe]", "display", Switch(True)),
        Setting(":DISPlay:TEXT[:DATA]", "shown text", Text()),
    )
    handlers: ClassVar = {
        ":SYSTem:LFRequency?": lambda self, _: f"{self.world.wiring.line_frequency:+.0f}",
        ":SYSTem:LICense:CATalog?": '""',
        ":SYSTem:PRESet": lambda self, call: self.reset(),
        ":DISPlay:TEXT:CLEar": lambda self, call: self.state.__setitem__("shown text", ""),
        "[:SENSe]:FUNCtion[:ON]?": lambda self, _: f'"{self.function}"',
        ":SAMPle:TIMer?": lambda self, call: self.show_number(
            self.duration() if call.arguments else self.state["timer"]
        ),
        ":DATA:POINts?": lambda self, _: f"{len(self._memory):+d}",
        ":FORMat[:DATA]?": lambda self, _: self.format,
        ":READ?": lambda self, call: self._read(call),
    }

    def switch_on(self) -> None:
        """Start as after power-up, with the switch of the terminals at the front."""
        self.terminals = "FRON"
        super().switch_on()

    def reset(self) -> None:
        """Return to the defaults: direct voltage, automatic range, 10 cycles, autozero."""
        super().reset()
        self.function, self.format = "VOLT", "ASC,+9"
        self._memory: list[float] = []
        self._smoothed: deque[float] = deque(maxlen=SMOOTHED["SLOW"])
        self._blocked, self._armed = False, False

    def receive(self, message: bytes) -> None:
        """Take a message; while READ? waits for a trigger it is not executed."""
        if not self._blocked:
            super().receive(message)

    def device_clear(self) -> None:
        """Empty the buffers and stop waiting for a trigger."""
        super().device_clear()
        self._blocked = self._armed = False

    # --- settings ---------------------------------------------------------------------------------------

    def check_setting(self, name: str, value: Any) -> None:
        """Refuse a number of cycles that the instrument does not have."""
        if name.endswith("nplc") and not any(math.isclose(value, one) for one in self.cycles):
            raise ScpiError(-222)

    def setting_changed(self, name: str) -> None:
        """Choose the range that includes a value; a written null value, or an aperture, replaces the automatic one."""
        super().setting_changed(name)
        function, _, what = name.partition(" ")
        if what == "range":
            own = self.ranges[function.removesuffix(":AC").removeprefix("F")]
            self.state[name] = next(one for one in own if self.state[name] <= one * (1 + 1e-9))
        elif what in ("aperture", "nplc") and f"{function} aperture" in self.state:
            self.state[f"{function} aperture enabled"] = what == "aperture"
        elif self.state[name] == "ONCE":
            if what == "range auto":
                self._choose_range(self._signal(function))
            self.state[name] = False

    @command("[:SENSe]:FUNCtion[:ON]")
    def _set_function(self, call: Call) -> None:
        call.expect(1)
        self.function = named_function(SPELLED, call.parse(0, Text()))
        self._smoothed.clear()

    @command("[:SENSe]:VOLTage[:DC]:RESolution?")
    def _resolution(self, call: Call) -> str:
        at = min(range(len(self.cycles)), key=lambda n: abs(self.cycles[n] - self.state["VOLT nplc"]))
        return self.show_number(self.resolutions[at] * self.state["VOLT range"])

    @command("[:SENSe]:VOLTage[:DC]:RESolution")
    def _set_resolution(self, call: Call) -> None:
        asked = call.number(0) / self.state["VOLT range"]
        fitting = [n for n, one in zip(self.cycles, self.resolutions, strict=True) if one <= asked * 1.001]
        if not fitting:
            raise ScpiError(-222)
        self.state["VOLT nplc"] = min(fitting)

    @command(":FORMat[:DATA]")
    def _set_format(self, call: Call) -> None:
        call.expect(1, 2)
        self.format = {"ASC": "ASC,+9", "REAL": "REAL,+64"}[call.parse(0, Choice("ASCii", "REAL"))]

    @command(":ROUTe:TERMinals?")
    def _terminals(self, call: Call) -> str:
        return self.terminals

    # --- measurement ------------------------------------------------------------------------------------

    def duration(self) -> float:
        """Time of one reading (s), with its measurement of zero."""
        function = self.function if self.function in ("VOLT", "CURR", "RES", "FRES") else "VOLT"
        seconds: float = self.state[f"{function} nplc"] / self.world.wiring.line_frequency
        if self.state.get(f"{function} aperture enabled"):
            seconds = self.state[f"{function} aperture"]
        return seconds * (2 if self.state[f"{function} zero auto"] else 1)

    def _signal(self, function: str) -> float:
        """What there is at the input (V or A) while one reading integrates."""
        if self.terminals != "FRON" or function not in DIRECT:
            return OVERFLOW if function in ("RES", "FRES", "CONT", "DIOD") else 0.0
        seconds = self.duration() / (2 if self.state[f"{function} zero auto"] else 1)
        held = 0.0 if self.state[f"{function} range auto"] else self.state[f"{function} range"]
        return metered_input(self.world, self.wires, "VOLT" if function == "VOLT" else "CURR", seconds, held)

    def _choose_range(self, value: float) -> None:
        own = self.ranges[self.function]
        fitting = (one for one in own if abs(value) <= one * OVERRANGE)
        self.state[f"{self.function} range"] = next(fitting, own[-1])

    def _measured(self) -> float:
        """One reading, after the math."""
        function = self.function
        self.world.clock.sleep(self.duration())
        value = self._signal(function)
        if function in DIRECT:
            if self.state[f"{function} range auto"]:
                self._choose_range(value)
            full = self.state[f"{function} range"]
            if self.overloaded or abs(value) > full * (1.0 if full == WITHOUT_OVERRANGE[function] else OVERRANGE):
                return math.copysign(OVERFLOW, value)
            step = full * self.resolutions[-1] / 10
            value = round(value / step) * step
        if abs(value) >= OVERFLOW or f"{function} null" not in self.state:
            return value
        return self._smooth(self._scaled(value - self._null(function, value)))

    def _null(self, function: str, value: float) -> float:
        if not self.state[f"{function} null"]:
            return 0.0
        if self.state[f"{function} null value auto"]:
            self.state |= {f"{function} null value auto": False, f"{function} null value": value}
        found: float = self.state[f"{function} null value"]
        return found

    def _scaled(self, value: float) -> float:
        if not self.state["scaling"]:
            return value
        kind, reference = self.state["scale"], self.state["scale reference"]
        if kind == "SCAL":
            return float(value * self.state["scale gain"] - self.state["scale offset"])
        if kind == "PCT":
            return float((value - reference) / reference * 100)
        return 20 * math.log10(max(abs(value), 1e-12)) - (0.0 if kind == "DB" else -2.218)

    def _smooth(self, value: float) -> float:
        if not self.state.get("smoothing"):
            return value
        self._smoothed.append(value)
        last = list(self._smoothed)[-SMOOTHED[self.state["response"]] :]
        return sum(last) / len(last)

    def _take_readings(self) -> None:
        """All readings of one INITiate into the memory."""
        self._memory, self._armed = [], False
        self._smoothed.clear()
        for _ in range(round(self.state["triggers"])):
            self.world.clock.sleep(AUTOMATIC_DELAY if self.state["delay auto"] else self.state["delay"])
            for _ in range(self.state["samples"]):
                began = self.world.clock.time()
                self._memory.append(self._measured())
                if self.state.get("timing") == "TIM":
                    self.world.clock.sleep(max(began + self.state["timer"] - self.world.clock.time(), 0.0))

    def _answer(self) -> str | bytes:
        if not self._memory:
            raise ScpiError(-230)
        if self.format.startswith("REAL"):
            return encode_values(self._memory, "REAL,64", swapped=self.state["byte order"] == "SWAP")
        return ",".join(self.show_number(value) for value in self._memory)

    def _read(self, call: Call) -> str | bytes | None:
        call.expect(0)
        if self.state["trigger"] == "BUS":
            raise ScpiError(-214, "Trigger deadlock")
        if self.state["trigger"] != "IMM":
            self._blocked = True
            return None
        self._take_readings()
        return self._answer()

    @command(":FETCh?")
    def _fetch(self, call: Call) -> str | bytes | None:
        if self._armed:
            self._blocked = True
            return None
        return self._answer()

    @command(":INITiate[:IMMediate]")
    def _initiate(self, call: Call) -> None:
        if self._armed:
            raise ScpiError(-213)
        if self.state["trigger"] == "IMM":
            self._take_readings()
        else:
            self._armed, self._memory = True, []

    @command("*TRG")
    def _trigger(self, call: Call) -> None:
        if not (self._armed and self.state["trigger"] == "BUS"):
            raise ScpiError(-211, "Trigger ignored")
        self._take_readings()

    @command(":ABORt")
    def _abort(self, call: Call) -> None:
        self._armed = False

    def configure(self, function: str, call: Call) -> None:
        """Set the defaults of a measurement and of the trigger, and the range (CONFigure and MEASure?)."""
        call.expect(0, 2)
        own = self.ranges[function.removesuffix(":AC").removeprefix("F")]
        automatic = not call.arguments or call.arguments[0].upper() in ("DEF", "AUTO")
        asked = own[-1] if automatic else call.parse(0, Number(own[-1], own[0], own[-1]))
        self.function = function
        self.state |= {"trigger": "IMM", "triggers": 1.0, "samples": 1, "delay auto": True, "scaling": False}
        self.state |= {f"{function} null": False, f"{function} range auto": automatic}
        self.state[f"{function} range"] = next(one for one in own if asked <= one * (1 + 1e-9))
        if f"{function} nplc" in self.state:
            self.state |= {f"{function} nplc": 10.0, f"{function} zero auto": True}

    def measure(self, function: str, call: Call) -> str | bytes:
        """Configure and read."""
        self.configure(function, call)
        self._take_readings()
        return self._answer()
