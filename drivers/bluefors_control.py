"""Bluefors Control Software (generation 1, API versions 1 and 2) as the fridge's thermometer, by HTTP or websocket.

The software has a tree of values. A value is a text with a time, a status, and whether it is outdated; there is the
latest one, and the latest that was valid, which may be hours old. From the specification of the API as users have
copied it, and from the programs of several labs (blueftc, bluefors-api-python and others); **never tried on hardware**:

- HTTPS and secure websockets are at port 49098, with a certificate that the software has signed itself; HTTP and plain
  websockets are at port 49099, for programs on the fridge's computer only. The server listens with IPv4 only.
- Where temperatures are differs: `mapper.bf.temperatures.tmixing`, in some versions `mapper.bflegacy.double.tmixing`. A
  channel is named `tmixing`, `tstill`, `t4k`, `t50k`, `tmagnet`, …, or by its whole path.
- A scanner reads one channel after the other: all but one of the readings are some time old. The age of a reading is
  its time compared with the time of the answer, both of the server, so that clocks that differ do not matter. Without
  a time in the answer (header Date) it is compared with the clock of this computer. Whether the time of a reading that
  did not change is that of the last one or of the change is not known.
- What the software answers for a path that it does not have is not known: 404, an error, or no value are understood.
- A websocket at `/ws/values/` takes JSON commands with an id that their answers repeat: RECEIVED, then SUCCEEDED with
  the data, or ERROR with a code; a NOTIFICATION may come at any time. Without access the opening is answered with
  status 503. From the specification, and from a program for an LD250 that reads and listens so. Each reading here has
  its own connection and is a `read`: a value that is listened to comes when it changes, which does not tell whether the
  software still runs; the answer to a `read` does. The time of the server is that of the opening, if that has one,
  which the specification does not say.

The API key is taken from an environment variable, never from the station file, which is copied into every run.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import uuid4

from drivers.answers import number
from drivers.errors import CommunicationError, ReadingError
from drivers.thermometry import MAXIMUM_AGE, checked_kelvin, checked_maximum_age, require_recent
from drivers.web_line import CHECK_KEY, Answer, WebInstrument
from drivers.web_socket import WebSocket

__all__ = ["BlueforsControl"]

BRANCHES = ("mapper.bf.temperatures", "mapper.bflegacy.double")
VALID = ("SYNCHRONIZED", "INDEPENDENT")
STATUS = {
    "INVALID": "the sensor could not be read",
    "DISCONNECTED": "the temperature controller is not connected",
    "QUEUED": "a value that waits to be written, not a reading",
    "CHANGED": "a value that was not written yet, not a reading",
}
QUERY = {"prettyprint": "0", "style": "flat"}
#: Codes of errors over the websocket: no such value or no content; no key or no right.
ABSENT, DENIED = (2002, 3001, 3007), (2001, 2003)


@dataclass(frozen=True)
class Sample:
    """One value: its text, status, time (s since 1970), and whether the software calls it outdated."""

    text: str
    status: str
    time: float
    outdated: bool


class BlueforsControl(WebInstrument):
    """Bluefors Control Software, which fills the role of `drivers.roles.Thermometer`.

    Parameters
    ----------
    name
        Of the instrument.
    address
        `https://host:49098` or `wss://host:49098`, on the fridge's computer `http://localhost:49099` or
        `ws://localhost:49099`.
    channel
        Value of the device's stage.
    maximum_age
        Age (s) of the oldest reading that is used.
    key_variable
        Environment variable that has the API key; without such a variable requests have no key.
    **kwargs
        See `drivers.web_line.WebInstrument`: timeout, certificate, verify.

    Raises
    ------
    ValueError
        An argument cannot be used.
    CommunicationError
        The software does not answer.

    """

    ports: ClassVar[Mapping[str, int]] = {"https": 49098, "http": 49099, "wss": 49098, "ws": 49099}
    refusals: ClassVar[tuple[int, ...]] = (401, 403, 503)

    def __init__(
        self,
        name: str,
        address: str,
        channel: str = "tmixing",
        *,
        maximum_age: float = MAXIMUM_AGE,
        key_variable: str = "BLUEFORS_API_KEY",
        **kwargs: Any,
    ) -> None:
        self.stage_channel = _checked_channel(name, channel)
        self.maximum_age = checked_maximum_age(name, maximum_age)
        self._key = os.environ.get(key_variable, "").strip()
        self._paths: dict[str, str] = {}  # channel → its path in this version
        super().__init__(name, address, **kwargs)
        self.metadata["maximum_age"] = self.maximum_age
        self.log.info("connected to %s: %s", self.described, self.get_idn())

    def get_idn(self) -> dict[str, str | None]:
        """Type of the fridge, its name in place of a serial number, and the version of the software, as it answers now.

        Raises
        ------
        CommunicationError
            It does not answer.

        """
        found = self._asked("system").data
        system = found.get("data", found) if isinstance(found, dict) else {}

        def text(*keys: str) -> str | None:
            return next((str(system[key]) for key in keys if isinstance(system, dict) and system.get(key)), None)

        model, version = text("product_type") or "Control Software", text("sw_version", "system_version")
        return {"vendor": "Bluefors", "model": model, "serial": text("system_name"), "firmware": version}

    def temperature(self) -> float:
        """Return the temperature (K) of the device's stage.

        Raises
        ------
        ReadingError
            It is older than `maximum_age`, its status is not valid, or it is not a temperature.
        CommunicationError
            The software does not answer.

        """
        return self.channel_temperature(self.stage_channel)

    def channel_temperature(self, channel: str) -> float:
        """Return the temperature (K) of a `channel`, `tstill` or a whole path; raises as `temperature`."""
        try:
            channel = _checked_channel(self.name, channel)
        except ValueError as error:
            raise ReadingError(self.described, f"has no such value: {error}.") from error
        known = self._paths.get(channel)
        paths = [known] if known else [channel] if "." in channel else [f"{branch}.{channel}" for branch in BRANCHES]
        said = ""
        for path in paths:
            answer = self._asked("values", path)
            content, said = self._content(answer, path)
            if content is not None:
                self._paths[channel] = path
                return self._kelvin(content, answer.time, path)
        raise ReadingError(
            self.described,
            f"has no value {' or '.join(paths)}{f' (it says {said!r})' if said else ''}.",
            "Name the whole path as channel; the settings of the control software show all paths.",
        )

    def _asked(self, endpoint: str, target: str = "") -> Answer:
        """The answer of an `endpoint`, about a `target` in the tree of values if there is one."""
        if self.has_socket:
            return self.converse(f"/ws/{endpoint}/", self._query(), lambda opened: self._read(opened, target))
        parts = "".join(f"{part}/" for part in target.split(".") if part)
        return self.fetch(f"/{endpoint}/{parts}", self._query() | (QUERY if target else {}))

    def _read(self, opened: WebSocket, target: str) -> dict[str, Any]:
        """Send the command `read`, and return the message that ends it, with data or an error."""
        own_id = str(uuid4())
        opened.send({"command": "read", "id": own_id} | ({"data": {"target": target}} if target else {}))
        where = target or "the system"
        while True:
            message = opened.receive()
            status, own = message.get("status"), message.get("id") == own_id
            if status == "ERROR" and (own or message.get("id") is None):
                self._refuse(message, where)
                return message
            if own and status == "SUCCEEDED":
                return message
            if (own and status not in ("RECEIVED", "NOTIFICATION")) or not isinstance(status, str):
                raise self.unexpected(message, where, "a message with status RECEIVED, SUCCEEDED or ERROR")

    def _refuse(self, message: Mapping[str, Any], where: str) -> None:
        """Raise the error of a `message` that is none about a value that is not there."""
        code, said = message.get("code"), str(message.get("description"))[:80]
        if code in DENIED:
            raise CommunicationError(self.described, f"refuses {where} (error {code}: {said}).", CHECK_KEY)
        if code not in ABSENT:
            raise CommunicationError(
                self.described, f"answers error {str(code)[:20]} to a request for {where}: {said}."
            )

    def _query(self) -> dict[str, str]:
        return {"key": self._key} if self._key else {}

    def _content(self, answer: Answer, path: str) -> tuple[Mapping[str, Any] | None, str]:
        """What the software has at `path`, None if nothing; and what it says instead."""
        found = answer.data
        if found is None:
            return None, ""
        if not isinstance(found, dict):
            raise self.unexpected(found, path, "a JSON object")
        if "error" in found or found.get("status") == "ERROR":
            problem = found.get("error", found)
            said = problem.get("description", problem) if isinstance(problem, dict) else problem
            return None, str(said)[:80]
        nodes = found.get("data", found)
        if not isinstance(nodes, dict):
            raise self.unexpected(nodes, path, "a JSON object")
        node = nodes if nodes.get("name") == path else nodes.get(path)
        if node is None:
            return None, ""
        content = node.get("content") if isinstance(node, dict) else None
        if not isinstance(content, dict):
            raise self.unexpected(node, path, "an object with `content`")
        return content, ""

    def _kelvin(self, content: Mapping[str, Any], now: float, path: str) -> float:
        """The temperature (K), if the latest attempt to read it was valid and it is recent."""
        latest, valid = (self._sample(content.get(key), path) for key in ("latest_value", "latest_valid_value"))
        used = valid or latest
        if used is None:
            raise ReadingError(self.described, f"{path} has never been read.", "Check that the channel is enabled.")
        age = now - used.time
        status = next((one.status for one in (latest, used) if one is not None and one.status not in VALID), None)
        if status is not None:
            meaning = STATUS.get(status, "a status that this driver does not know")
            raise ReadingError(
                self.described,
                f"{path} has no valid reading: {status[:40]}, {meaning}; the last valid one is {age:.0f} s old.",
                "Check the temperature controller, and that the channel is enabled.",
            )
        require_recent(age, self.maximum_age, path, self.described)
        if used.outdated:
            raise ReadingError(
                self.described,
                f"{path} is outdated, as the control software says; the reading is {age:.0f} s old.",
                "Check that the temperature controller measures and that the channel is scanned.",
            )
        value = number(used.text)
        if value is None:
            raise ReadingError(
                self.described, f"{path} reads {used.text[:40]!r}, which is no number.", "Check the sensor."
            )
        return checked_kelvin(value, path, self.described)

    def _sample(self, found: Any, path: str) -> Sample | None:
        """One value of a node; None if there is none."""
        if found is None or found == {}:
            return None
        expected = "value, status, date (ms) and outdated"
        if not isinstance(found, dict):
            raise self.unexpected(found, path, expected)
        value, status, date, outdated = (found.get(key) for key in ("value", "status", "date", "outdated"))
        milliseconds = number(str(date))
        right = isinstance(status, str) and isinstance(outdated, bool | None)
        if milliseconds is None or not right or not isinstance(value, str | int | float | None):
            raise self.unexpected(found, path, expected)
        return Sample("" if value is None else str(value), str(status), milliseconds / 1e3, outdated is True)


def _checked_channel(name: str, channel: object) -> str:
    """`channel`, if it can be a path of the tree of values."""
    if isinstance(channel, str) and channel.isascii() and all(part.isidentifier() for part in channel.split(".")):
        return channel
    raise ValueError(f"{name}: channel is {channel!r}; allowed are names such as tmixing, or a path with dots")
