"""Bluefors Temperature Controller as the fridge's thermometer and the heater of its stage, by HTTP (port 5001, JSON).

It is the controller itself, not the control software of the whole fridge (`drivers.bluefors_control`). It measures one
channel after the other; only the latest measurement of any channel can be asked for directly, the last one of a
certain channel is in the historical data. From the reference of its API (BF1000-1234517327-58, version 2.0, as users
copied it) and the public programs of several labs (Lab::Moose, blueftc, pybluefors, pyHegel and others); **never tried
on hardware**:

- Each answer has the time at the controller (`datetime`, UTC), with which the time of a measurement is compared: its
  clock may be wrong by hours.
- A measurement without a valid temperature has `null`, and status flags that say why; their meanings are in the manual
  of the controller. A temperature that has flags is used only where the station file accepts all of them
  (`accepted_flags`), with a warning in the log.
- A path with a slash at its end is not understood.
- `/heater/update` changes the settings of one heater that it is sent, and `/heater` changes none (API). What is
  refused is answered with status ERROR and a message (API). Whether that has another HTTP status, and whether a value
  beyond the limits is refused or clipped, is not said: each setting is read back.
- `pid_mode` 1 is the loop with the `setpoint` (K), and `max_power` the "hard safety limit for power" (W; API), which
  bounds the loop (pybluefors, pyHegel). The driver lowers it, and never raises what a lab has set.
- The loop holds the channel to which the heater is coupled: `coupled_heater_nr` of `/channels` (API, pyHegel). The
  driver requires that it is the stage's and no other, and does not change it.
- How the controller makes a current of a power is not said. It may need its own `resistance` of the heater (ohm; API)
  for that: one that differs from the station's is refused.
- `active` false is the heater switched off (API; most programs send nothing else to end). `power` is that of the manual
  mode, not what the loop gives, which only the historical data have, and none while it is off (pyHegel, others). So
  the heater counts as on if it is active in whichever mode. The relay (`relay_mode`) is neither used nor changed.
- Heater 4 is at the mixing chamber in the programs; 3 is the still's, 1 and 2 are heat switches (others).
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

from drivers.errors import CommunicationError, InstrumentError, ReadingError, SettingError
from drivers.stage_heater import checked_setpoint
from drivers.thermometry import CLOCKS_AGREE, MAXIMUM_AGE, checked_kelvin, checked_maximum_age, require_recent
from drivers.web_line import Answer, WebInstrument

__all__ = ["BlueforsController"]

CHANNELS, HEATERS = range(1, 13), range(1, 5)
LATEST_TIME = 1e11
"""A time (s since 1970) that a clock cannot show; the year is 5138."""
FIELDS = ["timestamp", "temperature", "status_flags"]
SAME, SAME_RESISTANCE = 1e-4, 1e-2
"""Relative difference of a setting that is read back, and of the resistance from the station's."""


class BlueforsController(WebInstrument):
    """A Bluefors Temperature Controller: fills `drivers.roles.Thermometer` and `drivers.stage_heater.StageHeater`.

    Parameters
    ----------
    name
        Of the instrument.
    address
        `http://host:5001`.
    channel
        Channel of the sensor on the device's stage, 1 to 12.
    heater
        Heater of that stage, 1 to 4, for the role `stage`; without this role none is asked for.
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
        heater: int = 4,
        maximum_age: float = MAXIMUM_AGE,
        accepted_flags: Sequence[int] = (),
        timeout: float = 5.0,
        **kwargs: Any,
    ) -> None:
        if channel not in CHANNELS:
            raise ValueError(f"{name}: channel is {channel!r}; a Bluefors Temperature Controller has channels 1 to 12")
        if heater not in HEATERS:
            raise ValueError(f"{name}: heater is {heater!r}; a Bluefors Temperature Controller has heaters 1 to 4")
        self.stage_channel, self.stage_heater = channel, heater
        self._bound: dict[str, Any] = {}
        self.maximum_age = checked_maximum_age(name, maximum_age)
        self._accepted_flags = tuple(accepted_flags)
        super().__init__(name, address, timeout=timeout, **kwargs)
        self.metadata["maximum_age"] = self.maximum_age
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
            "start_time": _written(now - self.maximum_age),
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
                f"channel {channel} has no measurement of the last {self.maximum_age:g} s (maximum_age).",
                "Check that the channel is active and that the controller measures.",
            )
        return max(rows, key=lambda row: _number(row["timestamp"])), now

    def _kelvin(self, measurement: Mapping[str, Any], now: float, what: str) -> float:
        """The temperature (K) of a measurement, if it is valid and recent."""
        time, value, flags = (measurement.get(name) for name in FIELDS)
        if not math.isfinite(_number(time)) or not isinstance(flags, list | None):
            raise self.unexpected(dict(measurement), what, "timestamp, temperature and status_flags")
        require_recent(now - _number(time), self.maximum_age, what, self.described)
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
        return checked_kelvin(_number(value), what, self.described)

    # --- heater of the stage -----------------------------------------------------------------------------------------

    def prepare(self, *, maximum_power: float, heater_resistance: float) -> None:
        """Switch the heater off, and bound what its loop gives; PID values stay as they were set at the controller.

        Parameters
        ----------
        maximum_power
            Most power (W) of the loop; a lower limit that the controller has stays.
        heater_resistance
            Of the heater (ohm).

        Raises
        ------
        SettingError
            The heater is not coupled to the stage's channel alone, the controller has another resistance or a limit of
            0 W, or a setting is refused or reads back differently. The heater is off.
        CommunicationError
            There is no usable answer.

        """
        self._bound = {}
        self.output_off()
        self._require_coupled()
        found = self._heater()
        resistance, limit = self._amount(found, "resistance"), self._amount(found, "max_power")
        if not math.isclose(resistance, heater_resistance, rel_tol=SAME_RESISTANCE):
            raise SettingError(
                self.described,
                f"heater {self.stage_heater} has a resistance of {resistance:g} ohm there (/heater); the station file "
                f"has a heater_resistance of {heater_resistance:g} ohm, and the power depends on it.",
                "Correct the one that is wrong. Nothing was switched on.",
            )
        if not limit:
            raise SettingError(
                self.described,
                f"heater {self.stage_heater} has a max_power of 0 W (/heater), which is not raised: it cannot heat.",
                "Set it at the controller.",
            )
        bound = {"pid_mode": 1, "control_algorithm": 1, "max_power": min(limit, maximum_power)}
        self._set(bound)
        self._bound = bound

    def output_on(self) -> None:
        """Switch the loop on, with the present temperature of the stage as set-point: it does not heat yet.

        Raises
        ------
        SettingError
            `prepare` has not bounded it, a setting is refused, or it reads back differently: the heater is off.
        ReadingError
            The stage's sensor has no valid reading; the heater stays off.
        CommunicationError
            There is no usable answer.

        """
        if not self._bound:
            raise SettingError(self.described, "the largest power of its heater is not known.", "Call prepare() first.")
        bound = self._bound | {"setpoint": float(checked_setpoint(self.temperature(), self.described))}
        self._set(bound)
        self._require_coupled()
        try:
            self._set({"active": True})
            self._require_set(bound)
        except InstrumentError:
            self.output_off()
            raise

    def output_off(self) -> None:
        """Switch the heater off, and read that back.

        Raises
        ------
        SettingError
            It is still on.
        CommunicationError
            Its state cannot be read.

        """
        off = {"active": False}
        with suppress(InstrumentError):  # it may or may not have been carried out: what is read back decides
            self._update(off)
        self._require_set(off)

    def output_enabled(self) -> bool:
        """Whether the heater is on, by its loop or by hand, as the controller answers."""
        found = self._heater().get("active")
        if not isinstance(found, bool):
            raise self.unexpected(found, "/heater", "active, true or false")
        return found

    def set_level(self, value: float) -> None:
        """Write the set-point (K) and read it back; raises as `checked_setpoint`, or if it is refused."""
        self._set({"setpoint": float(checked_setpoint(value, self.described))})

    def level(self) -> float:
        """The set-point (K), as read back."""
        return self._amount(self._heater(), "setpoint")

    def _heater(self) -> Mapping[str, Any]:
        """Settings of the heater."""
        found, _ = self._asked("/heater", {"heater_nr": self.stage_heater})
        if found.get("heater_nr") != self.stage_heater:
            raise self.unexpected(found, "/heater", f"settings of heater {self.stage_heater}")
        return found

    def _amount(self, found: Mapping[str, Any], key: str) -> float:
        """A number of the `found` settings of the heater, not negative."""
        value = _number(found.get(key))
        if not 0 <= value < math.inf:
            raise self.unexpected(found.get(key), "/heater", f"{key}, a number")
        return value

    def _require_coupled(self) -> None:
        """Refuse a heater whose loop would hold another channel, or none."""
        found, _ = self._asked("/channels")
        channels = found.get("data")
        if not isinstance(channels, list) or not all(isinstance(one, dict) for one in channels):
            raise self.unexpected(found, "/channels", "data, a list of channels")
        coupled = [one.get("channel_nr") for one in channels if one.get("coupled_heater_nr") == self.stage_heater]
        if coupled != [self.stage_channel]:
            named = f"channel {', '.join(map(str, coupled))[:80]}" if coupled else "no channel"
            raise SettingError(
                self.described,
                f"heater {self.stage_heater} is coupled to {named}, not to channel {self.stage_channel} alone "
                "(/channels).",
                "Couple them at the controller, or name another heater or channel in init. Nothing was switched on.",
            )

    def _set(self, settings: Mapping[str, Any]) -> None:
        """Write `settings` of the heater once, and read them back."""
        self._update(settings)
        self._require_set(settings)

    def _update(self, settings: Mapping[str, Any]) -> None:
        path, body = "/heater/update", {"heater_nr": self.stage_heater, **settings}
        self._accepted(self.send(path, body), f"{path} {body}", SettingError)

    def _require_set(self, settings: Mapping[str, Any]) -> None:
        """Read the heater, and refuse other settings than these."""
        found = self._heater()
        for key, value in settings.items():
            one = found.get(key)
            same = one is value if isinstance(value, bool) else math.isclose(_number(one), value, rel_tol=SAME)
            if not same:
                raise SettingError(
                    self.described,
                    f"{key} of heater {self.stage_heater} reads {str(one)[:80]} where {value} was requested (/heater).",
                    "Check at the controller that the heater is off, and that no other program changes it.",
                )

    # --- requests ----------------------------------------------------------------------------------------------------

    def _asked(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[Mapping[str, Any], float]:
        """The answer to a request that changes nothing, and the time (s since 1970) at the controller."""
        return self._accepted(self.fetch(path, {}, body), path, CommunicationError)

    def _accepted(self, answer: Answer, request: str, kind: type[InstrumentError]) -> tuple[Mapping[str, Any], float]:
        """The `answer` to a `request`, and its time (s since 1970).

        Raises
        ------
        InstrumentError
            It is an error of the controller (of this `kind`), or no answer of one.

        """
        found = answer.data
        if not isinstance(found, dict):
            raise self.unexpected(found, request, "a JSON object")
        if found.get("status") != "OK":
            error = found.get("error")
            said = error.get("message") if isinstance(error, dict) else found.get("status")
            raise kind(
                self.described,
                f"answers {request} with an error: {str(said)[:200].rstrip('.')}.",
                "Compare the version of its API.",
            )
        try:
            now = datetime.fromisoformat(str(found.get("datetime"))).timestamp()
        except (ValueError, OverflowError):
            now = answer.time
        if not 0 < now < LATEST_TIME:
            raise self.unexpected(found.get("datetime"), request, "a date and time")
        return found, now


def _written(time: float) -> str:
    """A time (s since 1970) as the controller reads it."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(value: object) -> float:
    """A JSON value as a number; NaN if it is none."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan
