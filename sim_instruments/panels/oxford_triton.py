"""The remote interface of an Oxford Triton, as its fridge computer answers at TCP port 33576.

A path of nouns is read with READ: and set with SET:; an answer repeats the path. Facts as in `drivers.oxford_triton`.
T8 and inputs 1 to 4 are the stages unless the station defines others. A channel that is not enabled keeps its last
value. The control loop can be set and read back, but does not heat. There is no magnet.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import FrontPanel
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
LOOP: Mapping[str, tuple[str, str]] = {
    "MODE": ("OFF", ""),
    "P": ("10", ""),
    "I": ("20", ""),
    "D": ("0", ""),
    "TSET": ("0", "K"),
    "RANGE": ("0.316", "mA"),
    "RAMP:ENAB": ("OFF", ""),
    "RAMP:RATE": ("0.01", "K/min"),
}
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
        self.loop = {name: value for name, (value, _) in LOOP.items()}
        self.control = PREFERRED
        self.pumps = {"TURB1": "ON", "COMP": "ON"}
        self._read: dict[int, float] = {}

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
            return f"{self.loop[name]}{LOOP[name][1]}"
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
            case ["DEV", device, "TEMP", "LOOP", "HTR"] if (channel := self._channel(device)) is not None:
                self.control = channel
                return value == "H1"
            case ["DEV", device, "TEMP", "LOOP", *name] if self._channel(device) == self.control:
                if ":".join(name) in LOOP:
                    self.loop[":".join(name)] = value
                    return True
        return False

    @staticmethod
    def _switch(states: dict[int, Any], channel: int, value: str) -> bool:
        if value not in ("ON", "OFF"):
            return False
        states[channel] = value == "ON"
        return True
