"""Settings that an instrument has once for each of its channels, named by a suffix or by a list: `(@1,3:5)`."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from sim_instruments.panels.front_panel import FrontPanel, Handler
from sim_instruments.panels.scpi_values import Call, Kind, ScpiError

__all__ = ["ChannelSetting", "channels_of"]

PART = re.compile(r"(\d{1,3})(?::(\d{1,3}))?")


def channels_of(call: Call, channels: Sequence[int]) -> tuple[list[int], tuple[str, ...]]:
    """The channels that `call` is for, and its other parameters. Raises ScpiError if one does not exist."""
    arguments = call.arguments
    if not (arguments and arguments[-1].startswith("(@")):
        found = [call.suffixes[0]]
    else:
        found = []
        for part in arguments[-1][2:-1].split(","):
            match = PART.fullmatch(part.strip())
            if match is None:
                raise ScpiError(-104)
            found += range(int(match[1]), int(match[2] or match[1]) + 1)
        arguments = arguments[:-1]
    if any(channel not in channels for channel in found):
        raise ScpiError(-114)
    return found, arguments


class ChannelSetting:
    """A value that each channel has; the panel's `state` has a dictionary channel → value by its name.

    Parameters
    ----------
    header
        In SCPI notation, with the suffix of the channel.
    name
        Name in `state`.
    kind
        Kind of the value.
    channels
        Numbers of the channels.

    """

    def __init__(self, header: str, name: str, kind: Kind, channels: Sequence[int]) -> None:
        self.header = header
        self.name = name
        self._kind = kind
        self._channels = channels

    @property
    def default(self) -> dict[int, Any]:
        """Value after `*RST`."""
        return dict.fromkeys(self._channels, self._kind.default)

    def commands(self) -> Iterator[tuple[str, Handler]]:
        """The command and the query."""
        yield self.header, self._change
        yield self.header + "?", self._show

    def _change(self, panel: FrontPanel, call: Call) -> None:
        channels, arguments = channels_of(call, self._channels)
        given = Call((), arguments)
        given.expect(1)
        value = given.parse(0, self._kind)
        for channel in channels:
            panel.check_setting(f"{self.name} {channel}", value)
        for channel in channels:
            panel.state[self.name][channel] = value
            panel.setting_changed(f"{self.name} {channel}")

    def _show(self, panel: FrontPanel, call: Call) -> str:
        channels, arguments = channels_of(call, self._channels)
        Call((), arguments).expect(0)
        values = [panel.state[self.name][channel] for channel in channels]
        return ",".join([self._kind.show(value, panel.number_format) for value in values])
