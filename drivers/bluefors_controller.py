"""Bluefors Temperature Controller as the fridge's thermometer, by HTTP (port 5001, JSON).

It is the controller itself, not the control software of the whole fridge (`drivers.bluefors_control`). It measures one
channel after the other; only the latest measurement of any channel can be asked for directly, the last one of a
certain channel is in the historical data. From the public programs of several labs (Lab::Moose, blueftc and others);
**never tried on hardware**:

- Each answer has the time at the controller (`datetime`, UTC), with which the time of a measurement is compared: its
  clock may be wrong by hours.
- A measurement without a valid temperature has `null`, and status flags that say why; their meanings are in the manual
  of the controller. A temperature that has flags is used only where the station file accepts all of them
  (`accepted_flags`), with a warning in the log.
- A path with a slash at its end is not understood.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from drivers.errors import CommunicationError, ReadingError
from drivers.thermometry import CLOCKS_AGREE, MAXIMUM_AGE, checked_kelvin, checked_maximum_age, require_recent
from drivers.web_line import WebInstrument

__all__ = ["BlueforsController"]

CHANNELS = range(1, 13)
LATEST_TIME = 1e11
"""A time (s since 1970) that a clock cannot show; the year is 5138."""
FIELDS = ["timestamp", "temperature", "status_flags"]


class BlueforsController(WebInstrument):
    """A Bluefors Temperature Controller, which fills the role of `drivers.roles.Thermometer`.

    Parameters
    ----------
    name
        Of the instrument.
    address
        `http://host:5001`.
    channel
        Channel of the sensor on the device's stage, 1 to 12.
    maximum_age
        Age (s) of the oldest measurement that is used.
    accepted_flags
        Status flags with which a temperature is used all the same.
    timeout
        Longest time (s) of one request.

    Raises
    ------
    ValueError
        An argument cannot be used.
    CommunicationError
        The controller does not answer.

    """

    ports: ClassVar[Mapping[str, int]] = {"http": 5001}

    def __init__(
        self,
        name: str,
        address: str,
        channel: int = 6,
        *,
        maximum_age: float = MAXIMUM_AGE,
        accepted_flags: Sequence[int] = (),
        timeout: float = 5.0,
        **kwargs: Any,
    ) -> None:
        if channel not in CHANNELS:
            raise ValueError(f"{name}: channel is {channel!r}; a Bluefors Temperature Controller has channels 1 to 12")
        self.stage_channel = channel
        self._maximum_age = checked_maximum_age(name, maximum_age)
        self._accepted_flags = tuple(accepted_flags)
        super().__init__(name, address, timeout=timeout, **kwargs)
        self.metadata["maximum_age"] = self._maximum_age
        self.log.info("connected to %s: %s", self.described, self.get_idn())

    def get_idn(self) -> dict[str, str | None]:
        """Type, serial number and software version of the controller, as it answers now.

        Raises
        ------
        CommunicationError
            It does not answer.

        """
        system, _ = self._asked("/system")
        model, serial, version = (str(system.get(key) or "") or None for key in ("type", "serial", "software_version"))
        return {"vendor": "Bluefors", "model": model, "serial": serial, "firmware": version}

    def temperature(self) -> float:
        """Return the temperature (K) of the device's stage.

        Raises
        ------
        ReadingError
            It is older than `maximum_age`, the measurement is not valid, or it is not a temperature.
        CommunicationError
            The controller does not answer.

        """
        return self.channel_temperature(self.stage_channel)

    def channel_temperature(self, channel: int) -> float:
        """Return the temperature (K) of a `channel`; raises as `temperature`."""
        if channel not in CHANNELS:
            raise ReadingError(self.described, f"has no channel {channel!r}; channels are 1 to 12.")
        path = "/channel/measurement/latest"
        latest, now = self._asked(path)
        if latest.get("channel_nr") != channel:
            path = "/channel/historical-data"
            latest, now = self._last_measurement(channel, now)
        return self._kelvin(latest, now, f"channel {channel} ({path})")

    def _last_measurement(self, channel: int, now: float) -> tuple[Mapping[str, Any], float]:
        """The newest measurement of a `channel` that is not too old, and the time at the controller.

        Raises
        ------
        ReadingError
            There is none.

        """
        path = "/channel/historical-data"
        asked = {
            "channel_nr": channel,
            "start_time": _written(now - self._maximum_age),
            "stop_time": _written(now + CLOCKS_AGREE),
            "fields": FIELDS,
        }
        answer, now = self._asked(path, asked)
        found = answer.get("measurements")
        columns = [found.get(name) for name in FIELDS] if isinstance(found, dict) else []
        if (
            answer.get("channel_nr") != channel
            or not columns
            or not all(isinstance(column, list) for column in columns)
        ):
            raise self.unexpected(answer, path, f"measurements of channel {channel} with {', '.join(FIELDS)}")
        rows = [dict(zip(FIELDS, row, strict=False)) for row in zip(*columns, strict=False)]
        if not rows:
            raise ReadingError(
                self.described,
                f"channel {channel} has no measurement of the last {self._maximum_age:g} s (maximum_age).",
                "Check that the channel is active and that the controller measures.",
            )
        return max(rows, key=lambda row: _seconds(row["timestamp"])), now

    def _kelvin(self, measurement: Mapping[str, Any], now: float, what: str) -> float:
        """The temperature (K) of a measurement, if it is valid and recent."""
        time, value, flags = (measurement.get(name) for name in FIELDS)
        if not math.isfinite(_seconds(time)) or not isinstance(flags, list | None):
            raise self.unexpected(dict(measurement), what, "timestamp, temperature and status_flags")
        require_recent(now - _seconds(time), self._maximum_age, what, self.described)
        wrong = [f"status flag {flag}" for flag in flags or () if flag not in self._accepted_flags]
        if wrong or value is None:
            raise ReadingError(
                self.described,
                f"{what} has no valid temperature: {'; '.join(wrong)[:200] or 'no reason given'}.",
                "Check the sensor, its excitation and its calibration curve; the controller's manual says what the "
                "flags mean, and accepted_flags under init lists those with which a temperature is used.",
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.unexpected(value, what, "a temperature")
        if flags:
            self.log.warning("%s: %s has the status flags %s", self.described, what, flags)
        return checked_kelvin(_seconds(value), what, self.described)

    def _asked(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[Mapping[str, Any], float]:
        """The answer to a request, and the time (s since 1970) at the controller."""
        answer = self.fetch(path, {}, body)
        found = answer.data
        if not isinstance(found, dict):
            raise self.unexpected(found, path, "a JSON object")
        if found.get("status") != "OK":
            error = found.get("error")
            said = error.get("message") if isinstance(error, dict) else found.get("status")
            raise CommunicationError(
                self.described, f"answers {path} with an error: {str(said)[:200]}.", "Compare the version of its API."
            )
        try:
            now = datetime.fromisoformat(str(found.get("datetime"))).timestamp()
        except (ValueError, OverflowError):
            now = answer.time
        if not 0 < now < LATEST_TIME:
            raise self.unexpected(found.get("datetime"), path, "a date and time")
        return found, now


def _written(time: float) -> str:
    """A time (s since 1970) as the controller reads it."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(value: object) -> float:
    """A JSON value as a number; NaN if it is none."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan
