"""The remote interface of an Oxford Triton, as its fridge computer answers at TCP port 33576.

A path of nouns is read with READ: and set with SET:; an answer repeats the path. Facts as in `drivers.oxford_triton`.
T8 and inputs 1 to 4 are the stages unless the station defines others. A channel that is not enabled keeps its last
value. There is no magnet. The heater H1 warms the mixing chamber: in a closed loop if the channel of the loop is on it,
else by the power that was set by hand; in both cases by at most the current of the range. Closing the loop makes the
present temperature its set-point. A ramp of the set-point can be switched on, but has no effect.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.panels.lakeshore_bridge import CURRENTS, HEATER
from sim_instruments.panels.scpi_values import Choice, Kind, Number, ScpiError
from sim_instruments.world.fridge import Stage

__all__ = ["OxfordTritonPanel"]

NAMES: Mapping[str, Stage] = {
    "MC": "mixing_chamber",
    "STIL": "still",
    "PT2": "four_kelvin",
    "PT1": "fifty_kelvin",
}
UNUSED = ("COOL", "SORB")
GAUGES = tuple(f"P{number}" for number in range(1, 7))
PREFERRED = 8
# Settings of the loop with their units.
LOOP: Mapping[str, tuple[Kind, str]] = {
    "MODE": (Choice("OFF", "ON"), ""),
    "P": (Number(10.0, 0.0, 1e3), ""),
    "I": (Number(20.0, 0.0, 1e3), ""),
    "D": (Number(0.0, 0.0, 1e3), ""),
    "TSET": (Number(0.0, 0.0, 400.0), "K"),
    "RANGE": (Number(0.316), "mA"),
    "RAMP:ENAB": (Choice("OFF", "ON"), ""),
    "RAMP:RATE": (Number(0.01, 0.0, 1e3), "K/min"),
}
#: Ranges (mA): those of the resistance bridge in it.
RANGES = tuple(round(1e3 * current, 4) for current in CURRENTS[1:])
POWER = Number(0.0, 0.0, 1e6)
SYSTEM: Mapping[str, str] = {"SYS:DR:ACTN": "NONE", "SYS:DR:STATUS": "OK", "SYS:VRM:ACTN": "INVALID"}


class OxfordTritonPanel(FrontPanel):
    """A Triton on the fridge's thermometers."""

    identification = "IDN:OXFORD INSTRUMENTS:TRITON:TWIN0061:2.6"
    resource = "TCPIP{}::triton.sim::33576::SOCKET"
    number_format = ".5E"
    handlers: ClassVar = {}

    def reset(self) -> None:
        """Everything as after the start of the fridge's software; it has no command for this."""
        super().reset()
        self.stages: dict[int, Stage] = {PREFERRED: "mixing_chamber", **self.wires.stages}
        self.enabled = dict.fromkeys(self.stages, True)
        self.loop: dict[str, Any] = {name: kind.default for name, (kind, _) in LOOP.items()}
        self.control = PREFERRED
        self.power = 0.0  # µW, by hand
        self.pumps = {"TURB1": "ON", "COMP": "ON"}
        self._read: dict[int, float] = {}
        self._heat()

    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one command; each of them is answered."""
        text = unit.strip().upper()
        if text == "*IDN?":
            return self.identification.replace("TWIN00", f"TWIN{self.number:02d}")
        verb, _, path = text.partition(":")
        if verb == "READ":
            return f"STAT:{path}:{self._value(path)}"
        if verb == "SET":
            return f"STAT:SET:{path}:{'VALID' if self._set(path) else 'INVALID'}"
        return "INVALID"

    def _heat(self) -> None:
        """The heater as it is set."""
        full = (1e-3 * self.loop["RANGE"]) ** 2 * HEATER
        if self.loop["MODE"] == "OFF":
            self.world.heat_stage(min(1e-6 * self.power, full))
        elif self.stages[self.control] == "mixing_chamber":
            self.world.heat_stage(full, self.loop["TSET"])
        else:
            self.world.heat_stage(0.0)

    def _value(self, path: str) -> str:
        """What is read at `path`."""
        kind, *words = path.split(":")
        if kind == "DEV":
            return self._of_device(words)
        if path == "SYS:TIME":
            hours, seconds = divmod(int(self.world.clock.time()) % 86400, 3600)
            return f"{hours:02d}:{seconds // 60:02d}:{seconds % 60:02d}"
        if path == "SYS:DR:CHAN":
            return ":".join([*NAMES, *UNUSED])
        named = path.removeprefix("SYS:DR:CHAN:")
        return self._named(named) if named in (*NAMES, *UNUSED) else SYSTEM.get(path, "INVALID")

    def _of_device(self, words: list[str]) -> str:
        match words:
            case [device, "TEMP", *rest] if (channel := self._channel(device)) is not None:
                return self._of_channel(channel, ":".join(rest))
            case [pump, "PUMP", "SIG", "STATE"] if pump in self.pumps:
                return self.pumps[pump]
            case [pump, "PUMP", "SIG", "SPD"] if pump in self.pumps:
                return "820Hz" if self.pumps[pump] == "ON" else "0Hz"
            case ["H1", "HTR", *rest]:
                known = {
                    "SIG:POWR": f"{1e6 * self.world.stage.given(self.world.clock.time()):.3f}uW",
                    "RES": f"{HEATER:g}Ohm",
                }
                return known.get(":".join(rest), "NOT_FOUND")
            case [gauge, "PRES", "SIG", "PRES"] if gauge in GAUGES:
                return "0.512mB"
        return "NOT_FOUND"

    def _channel(self, device: str) -> int | None:
        """The number of a channel that exists."""
        number = int(device[1:]) if device[:1] == "T" and device[1:].isdecimal() else 0
        return number if number in self.stages else None

    def _named(self, name: str) -> str:
        stage = NAMES.get(name)
        if stage is None:
            return "NONE"
        return next(f"T{number}" for number, found in self.stages.items() if found == stage)

    def _of_channel(self, channel: int, what: str) -> str:
        if what == "SIG:TEMP":
            return f"{self.show_number(self._temperature(channel))}K"
        if what == "MEAS:ENAB":
            return "ON" if self.enabled[channel] else "OFF"
        name = what.removeprefix("LOOP:")
        if what.startswith("LOOP:") and name in LOOP and channel == self.control:
            return LOOP[name][0].show(self.loop[name], "g") + LOOP[name][1]
        return "NOT_FOUND"

    def _temperature(self, channel: int) -> float:
        """The last reading (K) of a channel: a new one if it is enabled."""
        if self.enabled[channel] or channel not in self._read:
            self._read[channel] = self.world.temperature(self.stages[channel])
        return self._read[channel]

    def _set(self, path: str) -> bool:
        """Carry out a command; whether it is valid."""
        what, _, value = path.rpartition(":")
        match what.split(":"):
            case ["DEV", device, "TEMP", "MEAS", "ENAB"] if (channel := self._channel(device)) is not None:
                self._temperature(channel)
                return self._switch(self.enabled, channel, value)
            case ["DEV", pump, "PUMP", "SIG", "STATE"] if pump in self.pumps and value in ("ON", "OFF"):
                self.pumps[pump] = value
                return True
            case ["DEV", device, "TEMP", "LOOP", "HTR"] if (channel := self._channel(device)) and value == "H1":
                self.control = channel
                self._heat()
                return True
            case ["DEV", device, "TEMP", "LOOP", *name] if self._channel(device) == self.control:
                return self._set_loop(":".join(name), value)
            case ["DEV", "H1", "HTR", "SIG", "POWR"] if self.loop["MODE"] == "OFF":
                power = _parsed(POWER, value)
                self.power = self.power if power is None else power
                self._heat()
                return power is not None
        return False

    def _set_loop(self, name: str, value: str) -> bool:
        """Set what belongs to the loop; whether it is valid."""
        found = _parsed(LOOP[name][0], value) if name in LOOP else None
        if found is None or (name == "RANGE" and found not in RANGES):
            return False
        if name == "MODE" and (self.loop[name], found) == ("OFF", "ON"):
            self.loop["TSET"] = self._temperature(self.control)
        self.loop[name] = found
        self._heat()
        return True

    @staticmethod
    def _switch(states: dict[int, Any], channel: int, value: str) -> bool:
        if value not in ("ON", "OFF"):
            return False
        states[channel] = value == "ON"
        return True


def _parsed(kind: Kind, text: str) -> Any:
    """The value that `text` is; None if it is not valid."""
    try:
        return kind.parse(text)
    except ScpiError:
        return None
