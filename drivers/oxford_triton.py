"""Oxford Instruments Triton as the fridge's thermometer, over VISA (`TCPIP::host::33576::SOCKET`).

QCoDeS's `OxfordTriton` opens a socket of its own, returns None for a channel that does not exist, and does not notice a
channel that is not measured. From that driver, from Lab::Instrument::OI_Triton and from the programs of several labs;
**never tried on hardware**:

- `READ:DEV:T8:TEMP:SIG:TEMP` is answered with `STAT:DEV:T8:TEMP:SIG:TEMP:1.47628K`: an answer names its query. What
  does not exist is answered with NOT_FOUND or INVALID.
- Only channels that are enabled are measured; another one keeps its last value, however old. So the driver asks for
  `TEMP:MEAS:ENAB` before each reading. How old a reading of an enabled channel is cannot be asked for.
- The channel number of the mixing chamber differs between fridges (T8, T5): `READ:SYS:DR:CHAN:MC` says it.
- Channel numbers begin with 1. T0 is answered with nonsense such as 1.6e123 (QCoDeS pull request 576).
- The form of the answer to `*IDN?` is that of other instruments of Oxford: `IDN:OXFORD INSTRUMENTS:…`.
"""

import re
from typing import Any

from qcodes.instrument import VisaInstrument

from drivers.answers import number
from drivers.errors import ReadingError
from drivers.scpi import CheckedInstrument
from drivers.thermometry import checked_kelvin

__all__ = ["TritonFridge"]

CHANNEL = re.compile(r"T(?:[1-9]|1\d|2[0-9])")
NAME = re.compile(r"[A-Z][A-Z0-9]{0,15}")
READING = re.compile(r"(.*?)([mun]?)K", re.ASCII)
PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
ABSENT = ("NOT_FOUND", "INVALID", "NONE", "DENIED", "N/A")


class TritonFridge(CheckedInstrument, VisaInstrument):
    """A Triton, which fills the role of `drivers.roles.Thermometer`.

    Parameters
    ----------
    name
        Of the instrument.
    address
        `TCPIP::host::33576::SOCKET`.
    channel
        Channel of the sensor on the device's stage: 8, `T8`, or the name that the fridge has for it (MC).

    """

    def __init__(self, name: str, address: str, channel: str | int = "MC", **kwargs: Any) -> None:
        self.stage_channel = _checked_channel(name, channel)
        self._channels: dict[str, str] = {}  # name → channel
        super().__init__(name, address, **({"terminator": "\n"} | kwargs))
        self.visa_handle.write_termination = "\r\n"
        self.connect_message()

    def get_idn(self) -> dict[str, str | None]:
        """Vendor, model, serial number and firmware."""
        parts = [part.strip() or None for part in self.ask("*IDN?").removeprefix("IDN:").split(":", 3)]
        return dict(zip(("vendor", "model", "serial", "firmware"), [*parts, None, None, None], strict=False))

    def temperature(self) -> float:
        """Return the temperature (K) of the device's stage.

        Raises
        ------
        ReadingError
            The channel does not exist or is not enabled, or the reading is not a temperature.

        """
        return self.channel_temperature(self.stage_channel)

    def channel_temperature(self, channel: str | int) -> float:
        """Return the temperature (K) of a `channel`: 8, `T8`, or a name such as STIL; raises as `temperature`."""
        try:
            wanted = _checked_channel(self.name, channel)
        except ValueError as error:
            raise ReadingError(self.described, f"has no such channel: {error}.") from error
        return self.again(lambda: self._kelvin(self._number_of(wanted)))

    def _kelvin(self, channel: str) -> float:
        """The temperature (K) of a channel that is measured."""
        enabled = self._read(f"DEV:{channel}:TEMP:MEAS:ENAB")
        if enabled not in ("ON", "OFF"):
            raise self._absent(channel, enabled)
        if enabled == "OFF":
            raise ReadingError(
                self.described,
                f"channel {channel} is not measured; its value is old (DEV:{channel}:TEMP:MEAS:ENAB:OFF).",
                "Enable the channel in the fridge's software.",
            )
        query = f"DEV:{channel}:TEMP:SIG:TEMP"
        answer = self._read(query)
        if answer in ABSENT:
            raise self._absent(channel, answer)
        found = READING.fullmatch(answer)
        value = number(found[1]) if found else None
        if found is None or value is None:
            raise self.unexpected(answer, f"READ:{query}", "a number with K")
        return checked_kelvin(value * PREFIXES[found[2]], f"channel {channel} ({query})", self.described)

    def _number_of(self, channel: str) -> str:
        """The channel T… of a name."""
        if CHANNEL.fullmatch(channel):
            return channel
        if channel not in self._channels:
            found = self._read(f"SYS:DR:CHAN:{channel}")
            if CHANNEL.fullmatch(found) is None:
                raise self._absent(channel, found)
            self._channels[channel] = found
        return self._channels[channel]

    def _absent(self, channel: str, answer: str) -> ReadingError:
        return ReadingError(
            self.described,
            f"has no channel {channel} (it answers {answer[:40]!r}).",
            "Name a channel as the fridge's software does: T8, MC, STIL.",
        )

    def _read(self, query: str) -> str:
        """The value that the fridge has for `query`, whose answer begins with it.

        Raises
        ------
        CommunicationError
            There is no answer, or it is that to another query.

        """
        begin = f"STAT:{query}:"
        self.distinguish(lambda answer: answer.startswith(begin))
        answer = self.ask(f"READ:{query}").strip()
        if not answer.startswith(begin):
            raise self.unexpected(answer, f"READ:{query}", f"{begin}…")
        return answer.removeprefix(begin)

    def next_error(self) -> str | None:
        """Return None: it has no queue of errors; each answer says whether its command was valid."""
        return None


def _checked_channel(name: str, channel: str | int) -> str:
    """`channel` as the fridge names it.

    Raises
    ------
    ValueError
        There cannot be such a channel.

    """
    text = channel.upper() if isinstance(channel, str) else f"T{channel}"
    numbered = re.fullmatch(r"T\d+", text)
    if CHANNEL.fullmatch(text) or (isinstance(channel, str) and NAME.fullmatch(text) and not numbered):
        return text
    raise ValueError(f"{name}: channel is {channel!r}; allowed are 1 to 29, T1 to T29, or a name such as MC")
