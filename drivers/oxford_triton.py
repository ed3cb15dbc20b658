"""Oxford Instruments Triton as the fridge's thermometer and as the heater of the device's stage, over VISA.

QCoDeS's `OxfordTriton` opens a socket of its own, returns None for a channel that does not exist, does not notice a
channel that is not measured, and does not look at the answer to a setting. From that driver, from
Lab::Moose::Instrument::OI_Triton, frappy (`frappy_psi/triton.py`), the developers' manual of ISIS (Triton.md, EPICS and
emulator) and from the programs of several labs (QUBIC, Twente); **never tried on hardware**:

- `READ:DEV:T8:TEMP:SIG:TEMP` is answered with `STAT:DEV:T8:TEMP:SIG:TEMP:1.47628K`: an answer names its query. What
  does not exist is answered with NOT_FOUND or INVALID.
- Only channels that are enabled are measured; another one keeps its last value, however old. So the driver asks for
  `TEMP:MEAS:ENAB` before each reading. How old a reading of an enabled channel is cannot be asked for.
- The channel number of the mixing chamber differs between fridges (T8, T5): `READ:SYS:DR:CHAN:MC` says it.
- Channel numbers begin with 1. T0 is answered with nonsense such as 1.6e123 (QCoDeS pull request 576).
- The form of the answer to `*IDN?` is that of other instruments of Oxford: `IDN:OXFORD INSTRUMENTS:…`.
- `SET:DEV:T8:TEMP:LOOP:TSET:0.1` is answered with `STAT:SET:DEV:T8:TEMP:LOOP:TSET:0.1:VALID`, after more than 10 s
  where the loop is closed or opened (ISIS). What is refused ends with INVALID, NOT_FOUND or the like: also where the
  fridge's software lets programs read only (`SET:SYS:USER:NORM`, in some fridges with a password, gives them access).
- The only loop belongs to one channel, and other channels answer NOT_FOUND; `LOOP:HTR:H1` gives it to a channel.
- `LOOP:RANGE` is the largest current (mA), from a list; it can read 0 where the loop is open (frappy). Closing the loop
  can change the set-point to the present temperature (ISIS, and Lab::Instrument, which writes it again). A setting may
  be shown late (frappy writes and reads up to three times).
- The heater H1 has a power (`HTR:SIG:POWR`, µW) that is set by hand while the loop is open. That it is 0 after a loop
  was opened is not known, so it is set to 0 as well, and read back.
- Some fridges accept one connection at a time (ISIS).
"""

import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from qcodes.instrument import VisaInstrument

from drivers.answers import number
from drivers.errors import CommunicationError, InstrumentError, ReadingError, SettingError
from drivers.scpi import CheckedInstrument
from drivers.stage_heater import checked_setpoint, largest_range
from drivers.thermometry import checked_kelvin

__all__ = ["TritonFridge"]

CHANNEL = re.compile(r"T(?:[1-9]|1\d|2[0-9])")
NAME = re.compile(r"[A-Z][A-Z0-9]{0,15}")
READING = re.compile(r"(.*?)([mun]?)([KAW])", re.ASCII)
PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
ABSENT = ("NOT_FOUND", "INVALID", "NONE", "DENIED", "N/A")
#: Largest currents (mA) of the heater.
RANGES = (0.0316, 0.1, 0.316, 1.0, 3.16, 10.0, 31.6, 100.0)
HEATER = "H1"
POWER = f"DEV:{HEATER}:HTR:SIG:POWR"
NO_POWER = 1e-8
"""Power (W) up to which the heater counts as off: a tenth of what the lowest range gives in 100 ohm."""
SETTING_TIME = 30.0
"""Longest time (s) until a setting is answered."""
POLLS, PAUSE = 10, 1.0
"""How often, and after which time (s) each, a setting is read back that is not shown at once."""
Found = TypeVar("Found")
SAME = 2e-3
"""Relative difference (K: also absolute) that a setting of the loop may have when it is read back."""


class TritonFridge(CheckedInstrument, VisaInstrument):
    """A Triton, which fills the roles of `drivers.roles.Thermometer` and `drivers.stage_heater.StageHeater`.

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
        self._range = 0.0  # mA
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
        return checked_kelvin(self._quantity(query, "K"), f"channel {channel} ({query})", self.described)

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

    def _quantity(self, query: str, unit: str) -> float:
        """The number that the fridge has for `query`, in `unit`."""
        answer = self._read(query)
        if answer in ABSENT:
            raise ReadingError(self.described, f"has no {query} (it answers {answer!r}).")
        found = READING.fullmatch(answer)
        value = number(found[1]) if found else None
        if found is None or value is None or found[3] != unit:
            raise self.unexpected(answer, f"READ:{query}", f"a number with {unit}")
        return value * PREFIXES[found[2]]

    # --- heater of the stage -----------------------------------------------------------------------------------------

    def prepare(self, *, maximum_power: float, heater_resistance: float) -> None:
        """Choose the range of the loop of the stage's channel that gives at most `maximum_power` (W).

        The loop is opened and the heater switched off first. PID values stay as they were set at the fridge's computer.

        Parameters
        ----------
        maximum_power
            Most power that the range may give.
        heater_resistance
            Of the heater (ohm).

        Raises
        ------
        SettingError
            Even the lowest range may give more, a setting is refused, or it reads back differently.

        """
        powers = {current: (1e-3 * current) ** 2 * heater_resistance for current in RANGES}
        heater = f"the heater {HEATER}, in {heater_resistance:g} ohm,"
        self._range = largest_range(powers, maximum_power, heater, self.described)
        self.output_off()
        self._choose("RAMP:ENAB", "OFF")
        self._set(self._loop("RANGE"), f"{self._range:g}")

    def output_on(self) -> None:
        """Close the loop, with the present temperature of the stage as set-point: it does not heat yet.

        Raises
        ------
        SettingError
            `prepare` has not chosen its range, a setting is refused, or it reads back differently: the heater is off.
        ReadingError
            The stage's sensor has no valid reading; the heater stays off.

        """
        if not self._range:
            raise SettingError(self.described, "the range of its heater is not known.", "Call prepare() first.")
        start = self.temperature()
        self._bound(start)
        self._choose("MODE", "ON")
        try:
            self._bound(start)  # again: closing the loop may have changed both
            self._require_bound(start)
        except InstrumentError:
            self.output_off()
            raise

    def _bound(self, start: float) -> None:
        """Write range and set-point of the loop."""
        self._set(self._loop("RANGE"), f"{self._range:g}")
        self.set_level(start)

    def _require_bound(self, start: float) -> None:
        """Read range and set-point of the loop back."""

        def read() -> tuple[float, float]:
            return 1e3 * self._quantity(self._loop("RANGE"), "A"), self.level()

        def same(found: tuple[float, float]) -> bool:
            return math.isclose(found[0], self._range, rel_tol=SAME) and abs(found[1] - start) <= SAME * (1 + start)

        current, level = found = self._read_until(same, read)
        if not same(found):
            raise SettingError(
                self.described,
                f"its closed loop has a range of {current:g} mA and a set-point of {level:g} K, where {self._range:g} "
                f"mA and {start:g} K were set.",
                "The loop is open again, and the heater off.",
            )

    def output_off(self) -> None:
        """Open the loop and set the power of the heater to 0, and read both back.

        Raises
        ------
        SettingError
            A setting is refused, or the heater still gives a power.

        """
        if self.again(lambda: self._word("MODE")) in ABSENT:
            self._set(self._loop("HTR"), HEATER)  # the loop belongs to another channel
        self._choose("MODE", "OFF")
        with suppress(CommunicationError):  # as in `_choose`
            self._set(POWER, "0")
        power = self._read_until(lambda power: power <= NO_POWER, self.heater_power)
        if power > NO_POWER:
            raise SettingError(
                self.described,
                f"its heater still gives {power:.3g} W ({POWER}).",
                "Switch it off at the fridge's computer.",
            )

    def output_enabled(self) -> bool:
        """Whether the loop is closed, or the heater gives a power that was set by hand, as the fridge answers."""
        return self.again(lambda: self._word("MODE")) == "ON" or self.heater_power() > NO_POWER

    def heater_power(self) -> float:
        """Power (W) that the heater gives, as the fridge answers."""
        query = f"READ:{POWER}"
        return self.again(lambda: self.measured(self._quantity(POWER, "W"), f"power of the heater ({query})"))

    def set_level(self, value: float) -> None:
        """Write the set-point (K) of the loop; raises as `drivers.stage_heater.checked_setpoint`, or if refused."""
        self._set(self._loop("TSET"), checked_setpoint(value, self.described))

    def level(self) -> float:
        """The set-point (K) of the loop, as read back."""
        query = self._loop("TSET")
        return self.measured(self._quantity(query, "K"), f"set-point of the heater ({query})")

    def _loop(self, name: str) -> str:
        """Path of a setting of the loop of the stage's channel."""
        return f"DEV:{self.again(lambda: self._number_of(self.stage_channel))}:TEMP:LOOP:{name}"

    def _word(self, name: str) -> str:
        """ON or OFF of a setting of the loop; one of `ABSENT` where the loop belongs to another channel."""
        query = self._loop(name)
        found = self._read(query)
        if found not in ("ON", "OFF", *ABSENT):
            raise self.unexpected(found, f"READ:{query}", "ON or OFF")
        return found

    def _choose(self, name: str, value: str) -> None:
        """Switch a setting of the loop, and read it back."""
        with suppress(CommunicationError):  # it may or may not have been carried out: what is read back decides
            self._set(self._loop(name), value)
        found = self._read_until(lambda word: word == value, lambda: self.again(lambda: self._word(name)))
        if found != value:
            raise self.refused(f"READ:{self._loop(name)}", found, value)

    def _read_until(self, passes: Callable[[Found], bool], read: Callable[[], Found]) -> Found:
        """What is read when it `passes`, or after the last attempt: the fridge's software may show a setting late."""
        for _ in range(POLLS):
            found = read()
            if passes(found):
                break
            time.sleep(PAUSE)
        return found

    def _set(self, path: str, value: str) -> None:
        """Write a setting once; its answer says whether it was accepted.

        Raises
        ------
        SettingError
            It was not.
        CommunicationError
            There is no answer, or it is that to another command.

        """
        begin = f"STAT:SET:{path}:"
        self.distinguish(lambda answer: answer.startswith(begin))
        self.regain_step()
        with self.waiting(SETTING_TIME):
            answer = self.ask(f"SET:{path}:{value}").strip()
        said = answer.rpartition(":")[2]
        if said in ABSENT:
            raise SettingError(
                self.described,
                f"refused {f'SET:{path}:{value}'!r} (it answers {answer[:80]!r}).",
                "Check at the fridge's computer that programs may change settings, and which channel has the loop.",
            )
        if not (answer.startswith(begin) and said == "VALID"):
            raise self.unexpected(answer, f"SET:{path}:{value}", f"{begin}…:VALID")

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
