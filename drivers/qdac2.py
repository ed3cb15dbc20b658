"""QDevil (Quantum Machines) QDAC-II: each of its 24 channels is a bias source that measures its current.

In a station file a role names the channel: `bias: {instrument: qdac, channel: ch05}`; other channels are set-points
with the parameters of qcodes_contrib_drivers (`gate: {instrument: qdac, channel: ch06, parameter: dc_constant_V}`).

From the driver of qcodes_contrib_drivers, its issues 136, 343 and 382, and the drivers of pyHegel and qkit, whose
authors had the hardware; the manual was not available to us. **Never tried on hardware.**

- There is no output switch and no current limit: the compliance is a limit on the measured current, which labnis
  watches (`drivers.protection.CoarselyLimited`); an output counts as off where it was left at 0 V.
- Ranges and filters must be changed at 0 V only (pyHegel): they are not switched at another level.
- The query of the level gives what the converter has, some µV from the number that was sent, which `:LAST?` gives.
  Firmware before 0.17.5 drops digits of both, and is refused.
- A current beyond the low range (200 nA by its name, 150 nA usable) reads as the end of that range, without a mark.
- Lists bypass QCoDeS's validators (issue 343): here they are checked against the range of their channel.
- A slew rate that was left behind delays every level; a list, sweep or waveform that was left behind adds to it.

Unknown: whether several queries may be in one message (SCPI says so, and qkit does it with commands), where an aborted
list leaves the output, the accuracy, and what the resolution enhancement (`RENH`, not touched here) does to the noise.
"""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from qcodes.instrument import ChannelList
from qcodes_contrib_drivers.drivers.QDevil.QDAC2 import (  # type: ignore[import-untyped]  # it has no types
    QDac2 as ContribQDac2,
)

from drivers.errors import SettingError
from drivers.qdac2_channel import FILTERS, QDac2Channel
from drivers.scpi import CheckedInstrument

__all__ = ["QDac2"]

CHANNELS = range(1, 25)
OLDEST_FIRMWARE = (0, 17, 5)
FIRMWARE = re.compile(r"\d+-(\d+)\.(\d+)(?:\.(\d+))?")
LIST_COMMAND = re.compile(r"sour(\d+):(?:dc:)?list:volt(?::app)?\s*", re.IGNORECASE)


class QDac2(CheckedInstrument, ContribQDac2):  # type: ignore[misc]  # see above
    """A QDAC-II, each of whose channels `ch01` to `ch24` fills the role of `drivers.roles.BiasSource`.

    Parameters
    ----------
    name, address
        Of the instrument.
    output_filter
        Filter of the channels that are bias sources: `dc` (10 Hz), `med` (10 kHz) or `high` (230 kHz). With `dc`, state
        its 20 ms in the station file under wiring (`time_constant`).

    Raises
    ------
    SettingError
        If it is another instrument, or its firmware is older than 0.17.5.

    """

    channel_names: ClassVar[tuple[str, ...]] = tuple(f"ch{number:02}" for number in CHANNELS)
    channel_class: ClassVar[type] = QDac2Channel

    def __init__(self, name: str, address: str, output_filter: str = "med", **kwargs: Any) -> None:
        self.output_filter = output_filter.upper()
        if self.output_filter not in FILTERS:
            raise SettingError(f"{name} ({address})", f"has no filter {output_filter!r}.", "Allowed: dc, med, high.")
        super().__init__(name, address, **kwargs)
        channels: Any = ChannelList(self, "Channels", QDac2Channel, snapshotable=False)
        for number, own in zip(CHANNELS, self.channel_names, strict=True):  # in place of upstream's
            del self.submodules[own]
            channels.append(self.add_submodule(own, QDac2Channel(self, own, number)))
        channels.lock()
        del self.submodules["channels"]
        self.add_submodule("channels", channels)

    def connect_message(self, idn_param: str = "IDN", begin_time: float | None = None) -> None:
        """As every instrument's; then refuse other instruments and old firmware, before upstream does."""
        super().connect_message(idn_param, begin_time)
        if "QDAC-II" not in self._identity:
            raise SettingError(
                self.described,
                f"identifies itself as {self._identity[:80]!r}; a QDAC-II is needed.",
                "Check its address.",
            )
        found = FIRMWARE.fullmatch(self._identity.rpartition(",")[2].strip())
        version = tuple(int(part or 0) for part in found.groups()) if found else ()
        if version < OLDEST_FIRMWARE:
            raise SettingError(
                self.described,
                f"has the firmware of {self._identity[:80]!r}; 0.17.5 or newer is needed.",
                "Older firmware drops digits of the levels that it reads back: update it.",
            )

    def begin_preparation(self) -> None:
        """Forget what was confirmed for another channel, and move older errors into the log."""
        self._confirmed = {}
        self.discard_errors()

    def confirm(self, query: str, setting: str) -> None:
        """Note a setting that was read, for `require_unchanged`."""
        self._confirmed[query] = setting

    def write_floats(self, cmd: str, values: Sequence[float]) -> None:
        """As upstream's, for a list only within the range of its channel; as text, for an answer if it is refused.

        Raises
        ------
        SettingError
            If a value is beyond the range or not a number; nothing was sent.

        """
        found = LIST_COMMAND.fullmatch(cmd)
        if found:
            channel = self.channel(int(found[1]))
            choice = channel.in_use(f":SOUR{found[1]}:RANG?", ("LOW", "HIGH"))
            limit = channel.limit(choice)
            beyond = [value for value in values if not abs(value) <= limit]
            if beyond:
                raise SettingError(
                    channel.described,
                    f"a list with {beyond[0]:g} V was requested in the range {choice}, which is ±{limit:g} V; "
                    "nothing was sent.",
                    "The instrument does not check the values of lists.",
                )
        self.write(f"{cmd}{','.join(f'{value:.8g}' for value in values)}")
