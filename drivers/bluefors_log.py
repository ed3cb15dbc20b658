"""The log folder of a Bluefors fridge as its thermometer, for software without another interface.

The control software appends a line to `yy-mm-dd/CH6 T yy-mm-dd.log` for each channel about once a minute:
`29-11-26,13:05:12,0.0123`, in some versions with a blank before the date. From the log reader of qcodes_contrib_drivers
and the programs of several labs; **never tried on hardware**:

- A day has its folder. Shortly after midnight the newest line is in the folder of the day before.
- A line that is being written has no end yet: `0.01` may become `0.0123`. Only lines with their end are used.
- A line without a value means that the channel had no valid reading. It is not skipped: the line before would be old.
- Times are local times of the fridge's computer, without a zone. In the hour that is repeated when daylight saving time
  ends, the time at which the file was changed decides. The fridge's computer and this one need the same time zone, and
  clocks that agree.
- A folder of another computer that does not answer may keep a reading waiting for as long as the operating system does.
"""

import math
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from os import SEEK_END
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from qcodes.instrument import Instrument

from drivers.answers import number
from drivers.errors import CommunicationError, ReadingError
from drivers.thermometry import MAXIMUM_AGE, checked_kelvin, checked_maximum_age, require_recent

__all__ = ["BlueforsLog"]

CHANNELS = range(1, 17)
DAY, LINE = "%y-%m-%d", "%d-%m-%y %H:%M:%S"
TAIL = 4096
"""Length (bytes) of the end of a file that is read; a line has about 30."""
ATTEMPTS, PAUSE = 3, 0.1
"""How often a file is read that another program holds, and the time (s) before it is read again."""


class BlueforsLog(Instrument):
    """The log folder of a Bluefors fridge, which fills the role of `drivers.roles.Thermometer`.

    Parameters
    ----------
    name
        Of the instrument.
    address
        The folder that has a folder for each day: an absolute path without blanks, or `file:///C:/BF%20logs`.
    channel
        Channel of the sensor on the device's stage, 1 to 16.
    maximum_age
        Age (s) of the oldest line that is used.

    Raises
    ------
    ValueError
        An argument cannot be used.
    CommunicationError
        The folder cannot be read.

    """

    serves_many: ClassVar[bool] = True
    """It is only read (`drivers.capabilities.ServesMany`)."""

    now: Callable[[], float] = staticmethod(time.time)
    """The clock (s since 1970)."""

    def __init__(
        self, name: str, address: str, channel: int = 6, *, maximum_age: float = MAXIMUM_AGE, **kwargs: Any
    ) -> None:
        if channel not in CHANNELS:
            raise ValueError(f"{name}: channel is {channel!r}; logs have the channels 1 to 16")
        self.stage_channel = channel
        self._address = address
        self._folder = _folder(name, address)
        self.maximum_age = checked_maximum_age(name, maximum_age)
        super().__init__(name, **kwargs)
        self.metadata["maximum_age"] = self.maximum_age
        if not self._folder.is_dir():
            raise CommunicationError(
                self.described,
                "is no folder that can be read.",
                "Check address, and that the network drive is mounted.",
            )

    @property
    def described(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self._address})"

    def get_idn(self) -> dict[str, str | None]:
        """A folder has no serial number."""
        return {"vendor": "Bluefors", "model": "log folder", "serial": None, "firmware": None}

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """That of a file in the network (assumed; `drivers.capabilities.TimedReading`)."""
        del integration_time, line_frequency
        return 0.1

    def temperature(self) -> float:
        """Return the temperature (K) of the device's stage, as it was logged last.

        Raises
        ------
        ReadingError
            It is older than `maximum_age`, there is no value, or it is not a temperature.
        CommunicationError
            The log cannot be read.

        """
        return self.channel_temperature(self.stage_channel)

    def channel_temperature(self, channel: int) -> float:
        """Return the temperature (K) of a `channel`; raises as `temperature`."""
        if channel not in CHANNELS:
            raise ReadingError(self.described, f"has no channel {channel!r}; channels are 1 to 16.")
        now = self.now()
        for path in self._files(channel, now):
            found = self._newest(path)
            if found is not None:
                line, changed = found
                return self._kelvin(line, changed, now, path.name)
        raise ReadingError(
            self.described,
            f"has no log of channel {channel} for today or yesterday.",
            "Check that the channel is enabled, that the software logs, and the date of both computers.",
        )

    def _files(self, channel: int, now: float) -> Iterator[Path]:
        """Files that may have the newest line, newest first: the fridge's clock may be a little ahead at midnight."""
        today = datetime.fromtimestamp(now)  # noqa: DTZ006  # folders have the local date
        for days in (1, 0, -1):
            date = (today + timedelta(days=days)).strftime(DAY)
            yield self._folder / date / f"CH{channel} T {date}.log"

    def _newest(self, path: Path) -> tuple[str, float] | None:
        """The newest complete line of a file, and the time (s since 1970) of its last change; None if there is none."""
        problem: OSError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE)
            try:
                changed = path.stat().st_mtime
                with path.open("rb") as file:
                    length = file.seek(0, SEEK_END)
                    file.seek(max(0, length - TAIL))
                    complete = file.read(TAIL).rpartition(b"\n")[0]
            except FileNotFoundError:
                return None
            except OSError as error:  # the control software is writing it
                problem = error
            else:
                line = complete.rpartition(b"\n")[2].decode("latin-1").strip()
                return (line, changed) if complete.strip() else None
        raise CommunicationError(
            self.described, f"{path.name} cannot be read: {problem}.", "Check the rights of this user, and the network."
        )

    def _kelvin(self, line: str, changed: float, now: float, file: str) -> float:
        """The temperature (K) in a `line`, if it is recent; the file was `changed` at that time (s since 1970)."""
        day, clock, *values = (part.strip() for part in (*line.split(","), ""))
        try:
            written = datetime.strptime(f"{day} {clock}", LINE)  # noqa: DTZ007  # local, as the software writes it
            times = [written.replace(fold=fold).timestamp() for fold in (0, 1)]
        except (ValueError, OverflowError):
            raise CommunicationError(
                self.described,
                f"{file} ends with {line[:80]!r}; a line such as '29-11-26,13:05:12,0.0123' expected.",
                "Check that it is a log of temperatures of the control software.",
            ) from None
        at = min(times, key=lambda one: abs(one - changed))
        require_recent(now - at, self.maximum_age, f"the newest line of {file}", self.described)
        value = number(values[0])
        if value is None or any(values[1:]) or math.isnan(value):
            raise ReadingError(
                self.described,
                f"{file} has no temperature in its newest line, {line[:80]!r}.",
                "Check the sensor, and that its channel is enabled.",
            )
        return checked_kelvin(value, f"the newest line of {file}", self.described)


def _folder(name: str, address: str) -> Path:
    """The folder that `address` names.

    Raises
    ------
    ValueError
        It names none.

    """
    path = Path(address)
    if address.startswith("file:"):
        parts = urlsplit(address)
        text = unquote(parts.path)
        is_drive = text[2:3] == ":"  # /C:/logs
        path = Path(f"//{parts.netloc}{text}" if parts.netloc else text[1:] if is_drive else text)
    if not path.is_absolute():
        raise ValueError(f"{name}: address is {address!r}; allowed is an absolute path, or file:///C:/BF%20logs")
    return path
