"""The computers of a simulated fridge as servers: Bluefors Control Software, and the temperature controller.

A scanner comes to each of the four stages in turn, so that all readings but one are some time old. Times are those of
the world's clock. Facts as in `drivers.bluefors_control` and `drivers.bluefors_controller`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sim_instruments.instruments import SimulatedInstrument
from sim_instruments.server.web import EPOCH, WebServer
from sim_instruments.world import Stage, World

__all__ = ["BlueforsWeb", "ControllerWeb", "FridgeScanner", "web_server_of"]

NAMES: Mapping[str, Stage] = {
    "t50k": "fifty_kelvin",
    "t4k": "four_kelvin",
    "tstill": "still",
    "tmixing": "mixing_chamber",
}
#: Channels of the temperature controller.
CHANNELS: Mapping[int, str] = {1: "t50k", 2: "t4k", 5: "tstill", 6: "tmixing"}
#: Heaters of the temperature controller: name, resistance (ohm), and the channel that its loop holds; 0 for none.
HEATERS: Mapping[int, tuple[str, float, int]] = {
    1: ("hs-still", 100.0, 0),
    2: ("hs-mc", 100.0, 0),
    3: ("still-heater", 100.0, 5),
    4: ("mxc-heater", 100.0, 6),
}
LARGEST_CURRENT = 0.1
"""Of a heater (A)."""
#: Largest values of a heater's settings, of which the first two are whole numbers; the smallest is 0.
LARGEST: Mapping[str, float] = {
    "pid_mode": 1,
    "control_algorithm": 1,
    "resistance": 1000.0,
    "power": 1.0,
    "max_power": 1.0,
    "setpoint": 1000.0,
}
LATEST = ("channel", "measurement", "latest")
HISTORY = ("channel", "historical-data")
HEATER, UPDATE = ("heater",), ("heater", "update")


@dataclass
class FridgeScanner:
    """A scanner of the four stages.

    Attributes
    ----------
    world
        The fridge.
    dwell
        Time (s) for each stage.
    stopped
        Time (s) of the world's clock at which it stopped; None while it scans.

    """

    world: World
    dwell: float = 20.0
    stopped: float | None = None
    _read: dict[str, tuple[float, float]] = field(default_factory=dict)

    def latest(self) -> str:
        """Name of the stage that was read last."""
        return max(NAMES, key=lambda name: self.reading(name)[0])

    def reading(self, name: str) -> tuple[float, float]:
        """Time (s) of the world's clock, and temperature (K), of the last reading of the stage called `name`."""
        now = self.world.clock.time() if self.stopped is None else self.stopped
        cycle = self.dwell * len(NAMES)
        end = self.dwell * (1 + list(NAMES).index(name))
        # Before the first scan is complete there are readings of the scan before.
        last = end + cycle * ((now - end) // cycle)
        if name not in self._read or self._read[name][0] != last:
            self._read[name] = (last, self.world.temperature(NAMES[name]))
        return self._read[name]


#: Errors over a websocket: code → description.
ERRORS: Mapping[int, str] = {
    1001: "Parameter error",
    1002: "Invalid JSON",
    3001: "Value not found",
    3007: "Target value has no content",
    6001: "Command not found",
}


class BlueforsWeb(WebServer):
    """Bluefors Control Software.

    Over its websockets it understands the command `read` of one value, and no `set`, `listen`, `unlisten` and `status`.

    Parameters
    ----------
    world
        The fridge.
    key
        The API key that each request needs; empty for none.
    branch
        Where the temperatures are.
    certificate
        File with certificate and private key, for HTTPS and secure websockets.

    Attributes
    ----------
    scanner
        The scanner.
    status
        Status of the latest value; the last valid one stays SYNCHRONIZED.
    outdated
        Whether values are marked as outdated.

    """

    def __init__(
        self, world: World, *, key: str = "", branch: str = "mapper.bf.temperatures", certificate: Path | None = None
    ) -> None:
        super().__init__(world, certificate=certificate)
        self.key = key
        self.branch = branch
        self.scanner = FridgeScanner(world)
        self.status = "SYNCHRONIZED"
        self.outdated = False

    def answered(self, target: str, body: Any) -> tuple[int, Any]:
        """HTTP status and answer to the request of `target`; nothing can be set."""
        parts = urlsplit(target)
        if self.key and parse_qs(parts.query).get("key") != [self.key]:
            return 401, {"error": {"description": "Unauthorized"}}
        words = [word for word in parts.path.split("/") if word]
        if words == ["system"]:
            return 200, {"data": {"product_type": "LD400", "system_name": "TWIN-LD400", "sw_version": "2.6.1"}}
        if words[:1] == ["values"] and body is None:
            return 200, {"data": self._nodes(".".join(words[1:]))}
        return 404, {"error": {"description": "Not found"}}

    def opened(self, target: str) -> int:
        """Two websockets; without access the answer is 503, as its specification says."""
        parts = urlsplit(target)
        if self.key and parse_qs(parts.query).get("key") != [self.key]:
            return 503
        return 101 if parts.path.rstrip("/") in ("/ws/system", "/ws/values") else 404

    def replies(self, target: str, message: str) -> list[Any]:
        """RECEIVED and SUCCEEDED with the data, or ERROR."""
        try:
            command = dict(json.loads(message))
        except (TypeError, ValueError):
            return [self._error(1002, message)]
        own = {"id": str(command.get("id") or f"{len(self.messages):08x}")}
        if command.get("command") != "read":
            return [own | self._error(6001, command)]
        received = own | {"status": "RECEIVED", "data": command}
        if urlsplit(target).path.rstrip("/") == "/ws/system":
            system = {"system_name": "TWIN-LD400", "system_version": "2.6.1", "api_version": "2.6.1"}
            return [received, own | {"status": "SUCCEEDED", "data": system}]
        path = (command.get("data") or {}).get("target")
        if not isinstance(path, str):
            return [own | self._error(1001, command)]
        found = self._nodes(path)
        if path in found:
            return [received, own | {"status": "SUCCEEDED", "data": found[path]}]
        return [received, own | self._error(3007 if found else 3001, command)]

    @staticmethod
    def _error(code: int, details: Any) -> dict[str, Any]:
        return {"status": "ERROR", "code": code, "description": ERRORS[code], "details": details}

    def _nodes(self, path: str) -> dict[str, Any]:
        names = {f"{self.branch}.{name}": name for name in NAMES}
        return {
            full: {
                "name": full,
                "type": "Value.Number.Float.Unit.temperature",
                "content": self._content(name),
            }
            for full, name in names.items()
            if full == path or full.startswith(f"{path}.") or not path
        }

    def _content(self, name: str) -> dict[str, Any]:
        time, kelvin = self.scanner.reading(name)
        valid = {
            "value": f"{kelvin:.6g}",
            "status": "SYNCHRONIZED",
            "date": round(1e3 * (EPOCH + time)),
            "outdated": self.outdated,
        }
        if self.status == "SYNCHRONIZED":
            return {"latest_value": valid, "latest_valid_value": valid}
        now = round(1e3 * self.time)
        return {
            "latest_value": {"value": "", "status": self.status, "date": now, "outdated": False},
            "latest_valid_value": valid,
        }


class ControllerWeb(WebServer):
    """The Bluefors temperature controller. Its heater 4 heats the mixing chamber; its loop is ideal.

    That a value beyond its limits is refused, and not clipped, is not known of the real one.

    Attributes
    ----------
    scanner
        The scanner.
    flags
        Status flags of all readings.
    valid
        Whether readings have a temperature.
    heaters
        Number → settings of a heater.
    coupled
        Channel → number of the heater whose loop holds it; 0 for none.

    """

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.scanner = FridgeScanner(world)
        self.flags: list[int] = []
        self.valid = True
        left = {"active": False, "pid_mode": 0, "control_algorithm": 1, "power": 0.0, "max_power": 0.1, "setpoint": 0.0}
        self.heaters: dict[int, dict[str, Any]] = {
            number: {"heater_nr": number, "name": name, "resistance": ohm} | left
            for number, (name, ohm, _) in HEATERS.items()
        }
        held = {channel: number for number, (_, _, channel) in HEATERS.items()}
        self.coupled = {channel: held.get(channel, 0) for channel in range(1, 13)}

    def answered(self, target: str, body: Any) -> tuple[int, Any]:
        """HTTP status and answer to the request of `target`; only heaters can be set."""
        words = tuple(target.removeprefix("/").split("/"))
        common = {"status": "OK", "datetime": datetime.fromtimestamp(self.time, UTC).isoformat().replace("+00:00", "Z")}
        if words == ("system",):
            return 200, common | {"type": "Bluefors TC", "serial": "TWIN0001", "software_version": "1.4.0"}
        if words == LATEST:
            channel = next(number for number, name in CHANNELS.items() if name == self.scanner.latest())
            return 200, common | self._reading(channel) | {"channel_nr": channel}
        if words == HISTORY and isinstance(body, dict):
            return 200, common | {"channel_nr": body["channel_nr"], "measurements": self._history(body)}
        if words == ("channels",):
            return 200, common | {
                "data": [{"channel_nr": one, "coupled_heater_nr": other} for one, other in self.coupled.items()]
            }
        if words in (HEATER, UPDATE) and isinstance(body, dict):
            return 200, common | self._heater(body, update=words == UPDATE)
        return 404, {"status": "ERROR", "error": {"code": 404, "message": "Unknown endpoint."}}

    def _heater(self, body: Mapping[str, Any], *, update: bool) -> dict[str, Any]:
        """Settings of a heater, after an `update`; an error if the request is not right."""
        heater = self.heaters.get(body.get("heater_nr", 0))
        changes = {key: value for key, value in body.items() if key != "heater_nr"}
        if heater is None or not all(self._possible(key, value) for key, value in changes.items()):
            return {"status": "ERROR", "error": {"code": 123, "message": "Wrong parameters provided."}}
        if update:
            heater |= changes
            self._heat()
        return heater

    @staticmethod
    def _possible(key: str, value: Any) -> bool:
        if key == "active":
            return isinstance(value, bool)
        kinds = (int,) if key in ("pid_mode", "control_algorithm") else (int, float)
        return key in LARGEST and type(value) in kinds and bool(0 <= value <= LARGEST[key])

    def _heat(self) -> None:
        """Have the fridge follow the heater of the mixing chamber."""
        heater = self.heaters[4]
        most = min(heater["max_power"], LARGEST_CURRENT**2 * heater["resistance"])
        if heater["active"] and heater["pid_mode"] and self.coupled[6] == heater["heater_nr"]:
            self.world.heat_stage(most, heater["setpoint"])
        else:
            self.world.heat_stage(min(heater["power"], most) if heater["active"] and not heater["pid_mode"] else 0.0)

    def _reading(self, channel: int) -> dict[str, Any]:
        time, kelvin = self.scanner.reading(CHANNELS[channel])
        return {
            "timestamp": EPOCH + time,
            "temperature": kelvin if self.valid else None,
            "status_flags": self.flags,
        }

    def _history(self, body: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The last reading, if it is within the time that is asked for."""
        if body["channel_nr"] not in CHANNELS:
            return {name: [] for name in body["fields"]}
        start, stop = (datetime.fromisoformat(body[key]).timestamp() for key in ("start_time", "stop_time"))
        reading = self._reading(body["channel_nr"])
        within = start <= reading["timestamp"] <= stop
        return {name: [reading[name]] if within else [] for name in body["fields"]}


#: Class names of drivers, and the servers that they read.
SERVERS: Mapping[str, Callable[[World], WebServer]] = {
    "BlueforsControl": BlueforsWeb,
    "BlueforsController": ControllerWeb,
}


def web_server_of(instrument: SimulatedInstrument) -> Callable[[World], WebServer] | None:
    """The server that is the instrument; None if it is none."""
    return next((SERVERS[model] for model in instrument.models if model in SERVERS), None)
