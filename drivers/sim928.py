"""SRS SIM928 isolated voltage sources in the ports of a SIM900 mainframe: each port is a bias source.

In a station file a role names the port: `bias: {instrument: sim900, channel: port3}`; the parameters `volt_4` and so on
of qcodes_contrib_drivers are set-points of the other ports. All share one address.

From the SIM928 manual (rev. 2.0), the driver of qcodes_contrib_drivers and those of others who had the hardware; the
mainframe's manual was not available to us. **Never tried on hardware.**

- A module measures nothing, and has no current limit but that of its batteries (15 mA into a short circuit): a lower
  compliance is a limit on the measured current (`drivers.protection.CoarselyLimited`).
- Levels have steps of 1 mV: behind a divider of 1000, 1 µV at the device.
- When one battery is empty the module changes to the other, with a glitch below 1 mV; without a ready battery it drops
  out. Both are asked at every reading.
- What a client left in a port's buffer comes before the next answer: the buffer is flushed before each query.
- A client that was killed may have left a port connected (`CONN 3,"xyz"`): the mainframe passes on every message then.
  The usual escape strings are tried; any other connection ends with the mainframe's power.
- To open it resets the serial lines to all modules (`SRST`, as upstream's driver), whose outputs do not change.

Unknown: whether a device clear ends such a connection.
"""

import io
import math
import re
from contextlib import redirect_stdout
from typing import Any, ClassVar

from qcodes.instrument import InstrumentChannel
from qcodes_contrib_drivers.drivers.StanfordResearchSystems.SIM928 import (  # type: ignore[import-untyped]  # no types
    SIM928 as ContribSIM928,  # noqa: N811  # a class
)

from drivers.answers import number, numbers, register
from drivers.errors import CommunicationError, ComplianceError, ReadingError, SettingError
from drivers.roles import SourceReading
from drivers.scpi import CheckedInstrument

__all__ = ["SIM928"]

LARGEST = 20.0
# Queries of the number of bytes that have come, until the answer counts as missing.
MOST_POLLS = 500
ESCAPES = ("xyz", "end", "quit_source")
BLOCK = re.compile(rb"#3(\d{3})")
OVERLOAD, OVERVOLTAGE, BATTERY_SWITCHED, BATTERY_FAULT = 1, 2, 4, 8
IN_USE, READY = 1, 3


class SIM928Port(InstrumentChannel):
    """A SIM928 that fills the role of `drivers.roles.BiasSource`: it sources voltage and measures nothing."""

    smallest_compliance: ClassVar[float] = 15e-3
    """Current (A) of its batteries into a short circuit."""
    largest_voltage: ClassVar[float] = LARGEST
    """Largest level (V)."""
    level_step: ClassVar[float] = 1e-3
    """Step of its levels (V)."""

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """It measures nothing: answers to level and output, and to the level that was set, through the mainframe."""
        del integration_time, line_frequency
        return 6 * 0.02  # assumed for a serial line of 9600 baud

    def __init__(self, mainframe: "SIM928", port: int) -> None:
        super().__init__(mainframe, f"port{port}")
        self._mainframe, self._port = mainframe, port

    @property
    def described(self) -> str:
        """Name and address, for messages."""
        return f"{self._mainframe.described}, port {self._port}"

    def _ask(self, query: str) -> str:
        return self._mainframe.ask_module(self._port, query)

    def prepare(
        self, *, maximum_voltage: float, maximum_current: float, compliance: float, integration_time: float
    ) -> None:
        """Check module, batteries and overloads; level and output do not change, and there are no ranges.

        Parameters
        ----------
        maximum_voltage
            Largest future level (V), at most 20.
        maximum_current, compliance, integration_time
            Without effect: it measures nothing and has no current limit.

        Raises
        ------
        SettingError
            If it cannot source `maximum_voltage`, or the module is another one.
        ReadingError
            If its batteries have to be changed, or none is ready.

        """
        del maximum_current, compliance, integration_time
        if not abs(maximum_voltage) <= LARGEST:
            raise SettingError(
                self.described,
                f"{maximum_voltage:g} V is beyond {LARGEST:g} V, its largest level.",
                "Lower the limits.",
            )
        module = self._ask("*IDN?")
        if "SIM928" not in module:
            raise SettingError(
                self.described, f"has the module {module[:80]!r}; a SIM928 is needed.", "Check the port."
            )
        self._check_batteries()
        self._status()  # which clears what was before

    def _check_batteries(self) -> None:
        """One battery in use, and none to be changed."""
        answer = self._ask("BATS?")
        found = numbers(answer, 3)
        if found is None or not {*found[:2]} <= {1, 2, 3} or found[2] not in (0, 1):
            raise self._mainframe.unexpected(answer, "BATS?", "two states of 1 to 3, and 0 or 1,")
        if found[2] or IN_USE not in found[:2]:
            raise ReadingError(
                self.described,
                f"reports its batteries as {answer} (1 in use, 2 charging, 3 ready; last: 1 to be changed).",
                "Its output drops out without a charged battery: change the batteries, or wait until one is charged.",
            )
        if READY not in found[:2]:
            self._mainframe.log.warning("%s has no second battery that is charged (%s)", self.described, answer)

    def _status(self) -> int:
        answer = self._ask("OVSR?")
        status = register(answer)
        if status is None or status > 15:
            raise self._mainframe.unexpected(answer, "OVSR?", "a number from 0 to 15")
        return status

    # --- output -----------------------------------------------------------------------------------------

    def output_on(self) -> None:
        """Connect the output at its present level; verified."""
        self._switch("OPON", on=True)

    def output_off(self) -> None:
        """Disconnect the output; verified."""
        self._switch("OPOF", on=False)

    def _switch(self, command: str, *, on: bool) -> None:
        self._mainframe.write_module(self._port, command)
        if self.output_enabled() is not on:
            raise SettingError(
                self.described, f"has its output {'off' if on else 'on'} after {command}.", "Check its batteries."
            )

    def output_enabled(self) -> bool:
        """Whether the output is on, as the module answers."""
        return bool(self._mainframe.again(self._asked_output))

    def _asked_output(self) -> bool:
        answer = self._ask("EXON?")
        if answer not in ("0", "1"):
            raise self._mainframe.unexpected(answer, "EXON?", "0 or 1")
        return answer == "1"

    # --- level ------------------------------------------------------------------------------------------

    def set_level(self, voltage: float) -> None:
        """Write one level (V), to 1 mV, and read it back.

        Raises
        ------
        SettingError
            If `voltage` is not a number of at most 20 V (nothing is sent then), or the module refuses it.
        CommunicationError
            If it does not answer; whether the level was set is then unknown.

        """
        if not abs(voltage) <= LARGEST:
            raise SettingError(
                self.described,
                f"a source level of {voltage} V was requested; at most {LARGEST:g} V are possible; nothing was sent.",
            )
        text = f"{voltage:.3f}"
        self._mainframe.write_module(self._port, f"VOLT {text}")
        found = self._asked_level()
        if abs(found - float(text)) > 0.1 * self.level_step:
            raise SettingError(
                self.described,
                f"has the level {found:g} V where {text} was written.",
                "The module ignored it: check the baud rate of its port and its front panel.",
            )

    def _asked_level(self) -> float:
        answer = self._ask("VOLT?")
        found = number(answer)
        if found is None or not abs(found) <= 1.01 * LARGEST:
            raise self._mainframe.unexpected(answer, "VOLT?", "a number of at most 20 (V)")
        return found

    def level(self) -> float:
        """Query the level (V)."""
        return self._asked_level()

    def read(self) -> SourceReading:
        """The level, and whether it was overloaded since the reading before; it measures no current.

        Raises
        ------
        ComplianceError
            If its output is overloaded.
        ReadingError
            If its batteries failed.

        """
        found: SourceReading = self._mainframe.again(self._asked_reading)
        return found

    def _asked_reading(self) -> SourceReading:
        level, status = self._asked_level(), self._status()
        if status & (OVERLOAD | OVERVOLTAGE):
            raise ComplianceError(
                self.described,
                f"reports an overload of its output (OVSR {status}, level {level:g} V).",
                "The voltage at the device is not the one that was set: lower the bias.",
            )
        if status & BATTERY_FAULT:
            raise ReadingError(self.described, f"reports a battery fault (OVSR {status}).", "Change its batteries.")
        if status & BATTERY_SWITCHED:
            self._mainframe.log.warning("%s has changed its battery, with a glitch below 1 mV", self.described)
        return SourceReading(level, math.nan)


class SIM928(CheckedInstrument, ContribSIM928):  # type: ignore[misc]  # see above
    """A SIM900 mainframe whose ports with a SIM928, `port1` to `port9`, fill the role of `drivers.roles.BiasSource`.

    Parameters
    ----------
    name, address
        Of the mainframe.
    **kwargs
        As upstream's: `slot_names`, `timeout`.

    Raises
    ------
    CommunicationError
        If it does not answer as a SIM900, or a module does not answer.

    """

    channel_names: ClassVar[tuple[str, ...]] = tuple(f"port{port}" for port in range(1, 10))
    channel_class: ClassVar[type] = SIM928Port

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        with redirect_stdout(io.StringIO()):  # upstream prints what `connect_message` logs
            super().__init__(name, address, **kwargs)
        self.connect_message()
        for port in self.modules:
            module = self.add_submodule(f"port{port}", SIM928Port(self, port))
            self._read_levels_back(module, self.slot_names.get(port, port))

    def _read_levels_back(self, module: "SIM928Port", named: Any) -> None:
        """Replace upstream's parameter of the voltage of a module: its levels are read back."""
        upstream = self.parameters[f"volt_{named}"]
        self.remove_parameter(upstream.name)
        self.add_parameter(
            upstream.name, unit="V", label=f"Output voltage of module {named}", vals=upstream.vals,
            get_cmd=module.level, set_cmd=module.set_level,
        )  # fmt: skip

    def find_modules(self) -> list[int]:
        """As upstream's: ports with a SIM928; but first a connection that a killed client left is ended."""
        self._end_connection()
        answer = self.ask("CTCR?")
        occupied = register(answer)
        if occupied is None:
            raise self.unexpected(answer, "CTCR?", "a register of the ports")
        ports = [port for port in range(1, 10) if occupied >> port & 1]
        for port in ports:
            self.write_module(port, "TERM LF")
        return [port for port in ports if "SIM928" in self.ask_module(port, "*IDN?")]

    def _end_connection(self) -> None:
        said = ""
        for escape in ("", *ESCAPES):
            if escape:
                self.write(escape)
            try:
                said = self.ask("*IDN?").strip()
            except CommunicationError as error:
                said = str(error)
            if "SIM900" in said:
                break
            self.device_clear()
        else:
            raise CommunicationError(
                self.described,
                f"does not answer *IDN? as a SIM900 but {said[:120]!r}.",
                "Another program may have left it connected to one port: send its escape string, or switch the "
                "mainframe off and on with the outputs at 0.",
            )
        self.write("FLSH")

    def ask_module(self, i: int | str, cmd: str) -> str:
        """As upstream's, but complete, and never what was in the buffer before.

        Raises
        ------
        CommunicationError
            If there is no answer.

        """
        port = i if isinstance(i, int) else self.module_nr[i]
        self.write(f"FLSH {port}")
        self.write_module(port, cmd)
        data = b""
        for _ in range(MOST_POLLS):
            waiting = self._waiting(port)
            if waiting:
                data += self._taken(port, min(waiting, 999))
            if data.endswith(b"\n"):
                break
        answer = data.decode("ascii", "replace").strip()
        if not data.endswith(b"\n") or "\n" in answer or not answer.isascii():
            raise self.unexpected(answer, f"{cmd} of port {port}", "one line")
        return answer

    def _waiting(self, port: int) -> int:
        """Number of bytes that have come from a module."""
        query = f"NINP? {port}"
        answer = self.ask(query)
        found = register(answer)
        if found is None:
            raise self.unexpected(answer, query, "a number of bytes")
        return found

    def _taken(self, port: int, count: int) -> bytes:
        """Take `count` bytes that have come from a module."""
        query = f"GETN? {port},{count}"
        self.write(query)
        head = self.receive(query, 5)
        match = BLOCK.fullmatch(head)
        if match is None or int(match[1]) != count:
            raise self.unexpected(head.decode("ascii", "replace"), query, f"a block of {count} bytes")
        data = self.receive(query, count)
        end = self.receive_line(query).strip()
        if end:
            raise self.unexpected(end, query, "the end of the answer")
        return data
