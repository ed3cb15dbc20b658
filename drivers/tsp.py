"""Checks of an instrument that runs TSP (Keithley's Lua) and knows no SCPI.

What is written and what is asked are chunks of a script. Facts, and their consequences:

- `print` rounds to `format.asciiprecision` digits, which somebody may have left at 1: numbers are formatted in the
  message itself, with ten digits.
- Each query has a number, which its answer repeats: a late or a foreign answer is never taken for another.
- Several statements are one message: a setting is written and read back at once.
- While a script runs, nothing else is read, not even `*IDN?`, and the script of a client that has died runs on. A
  device clear ends it (QCoDeS sends one when it connects; on a socket, which has none, `abort` does the same). Outputs
  stay as they are then.
- Prompts, which Test Script Builder switches on, would be taken for answers: they are switched off first.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pyvisa.resources import TCPIPSocket

from drivers.answers import number
from drivers.errors import CommunicationError, SettingError
from drivers.scpi import CheckedInstrument

__all__ = ["TspInstrument"]

QUIET = "localnode.prompts = 0 localnode.showerrors = 0"
IDENTITY = re.compile(r"[^,]+(?:,[^,]+){3}")
# Most lines of earlier answers and prompts in front of the identity.
MOST_LINES = 10
MOST_NUMBERS, LARGEST_TAG = 8, 1 << 20
ENTRY = re.compile(r"(\d{1,7}) ([+-]?\d{1,9}) (.*)", re.DOTALL | re.ASCII)


class TspInstrument(CheckedInstrument):
    """A VISA instrument with TSP; a mix-in, as `CheckedInstrument`."""

    _begun = False
    _tag = 0

    def ask(self, cmd: str) -> str:
        """Send a query, an expression or a common command, and return its answer.

        Raises
        ------
        CommunicationError
            If the bus fails or there is no answer within the timeout.

        """
        if not self._begun:
            self._begun = True
            self._begin()
        return super().ask(cmd if cmd.startswith("*") else f"print({cmd})")

    def device_clear(self) -> None:
        """Discard pending answers and end a script that runs; on a socket, with `abort`.

        Raises
        ------
        Exception
            Of PyVISA or its library, if the bus fails.

        """
        if isinstance(self.visa_handle, TCPIPSocket):
            self.visa_handle.write("abort")
        super().device_clear()

    def _begin(self) -> None:
        """Switch prompts off and empty the line, so that answers are those to the queries; ends a script if need be."""
        try:
            self._synchronize()
        except CommunicationError as silent:
            self.log.warning("%s is silent, a script may be running: clearing it", self.described)
            try:
                with suppress(Exception):  # the next query reports it
                    self.device_clear()
                self._synchronize()
            except CommunicationError:
                raise CommunicationError(
                    self.described,
                    f"does not answer, also after a device clear (at first: {silent.problem.rstrip('.')}).",
                    "If it is on and connected, a script is running in it that does not end, and its outputs may be "
                    "on: bring them to zero at its front panel (EXIT ends a script, OUTPUT switches off), and try "
                    "again.",
                ) from silent

    def _synchronize(self) -> None:
        self.write(QUIET)
        answer = super().ask("*IDN?")
        for _ in range(MOST_LINES):
            if IDENTITY.fullmatch(answer.strip()):
                return
            answer = self.receive_line("*IDN?")
        raise self.unexpected(answer, "*IDN?", "an identity")

    # --- numbers ------------------------------------------------------------------------------------------------------

    def next_tag(self) -> int:
        """A number for a query, which its answer is to repeat."""
        self._tag = self._tag % LARGEST_TAG + 1
        return self._tag

    def values(self, *expressions: str, before: str = "") -> list[float]:
        """Query the numbers that `expressions` are, after the statements `before`, all in one message.

        Markers and NaN are returned unchanged. An expression gives one number, the last one may be a call that gives
        more: not here.

        Raises
        ------
        CommunicationError
            If there is no answer, or it is not that to this query.

        """
        tag = self.next_tag()
        template = "%d" + " %.10g" * len(expressions)
        message = f'{before} print(string.format("{template}", {tag}, {", ".join(expressions)}))'.strip()
        answer = super().ask(message)
        found = [number(part) for part in answer.strip().split(" ", MOST_NUMBERS + 1)]
        numbers = [one for one in found if one is not None]
        if len(numbers) != len(found) or len(numbers) != len(expressions) + 1 or numbers[0] != tag:
            raise self.unexpected(answer, message, f"{tag} and {len(expressions)} number(s)")
        return numbers[1:]

    # --- settings -----------------------------------------------------------------------------------------------------

    def assign(self, setting: str, value: str | float, *, tolerance: float = 0.0) -> tuple[str, float]:
        """Write a setting once and read it back, in one message.

        Parameters
        ----------
        setting
            Name of the attribute.
        value
            A number, or the name of a constant.
        tolerance
            Largest absolute difference that counts as equal.

        Returns
        -------
        str, float
            Expression that reads it, and its value: for `require_same`. That of a constant is 1.

        Raises
        ------
        SettingError
            If the instrument reads back another value.

        """
        text = value if isinstance(value, str) else f"{float(value):.10g}"
        expression = is_constant(setting, text) if isinstance(value, str) else setting
        wanted = 1.0 if isinstance(value, str) else float(value)
        (found,) = self.values(expression, before=f"{setting} = {text}")
        if not abs(found - wanted) <= tolerance + 1e-9 * abs(wanted):
            raise self.refused(setting, "another value" if isinstance(value, str) else f"{found:.10g}", text)
        return expression, found

    def require_same(self, confirmed: Mapping[str, float], when: str) -> None:
        """Read settings again and compare them with what `assign` has returned.

        Raises
        ------
        SettingError
            If one is another.
        CommunicationError
            If the answers cannot be read.

        """
        names = tuple(confirmed)
        for start in range(0, len(names), MOST_NUMBERS):
            self._require(names[start : start + MOST_NUMBERS], confirmed, when)

    def _require(self, names: Sequence[str], confirmed: Mapping[str, float], when: str) -> None:
        for name, found in zip(names, self.values(*names), strict=True):
            if found != confirmed[name]:
                self.lost_step()
                raise SettingError(
                    self.described,
                    f"{name} reads {found:.10g} {when}; {confirmed[name]:.10g} was confirmed before.",
                    "The instrument was changed or reset: prepare the measurement again.",
                )

    # --- error queue --------------------------------------------------------------------------------------------------

    def next_error(self) -> str | None:
        """Remove the oldest entry from the instrument's error queue and return it; None if there is none."""
        tag = self.next_tag()
        message = f'local c, t = errorqueue.next() print(string.format("%d %d %s", {tag}, c, t))'
        answer = super().ask(message)
        found = ENTRY.fullmatch(answer.strip())
        if found is None or int(found[1]) != tag:
            raise self.unexpected(answer, message, f"{tag}, a number and a text")
        return f"{found[2]}, {found[3][:200].rstrip('.')}" if int(found[2]) != 0 else None

    def get_idn(self) -> dict[str, Any]:
        """Vendor, model, serial number and firmware."""
        vendor, model, serial, firmware = (part.strip() for part in self.ask("*IDN?").split(",", 3))
        return {"vendor": vendor, "model": model.removeprefix("Model").strip(), "serial": serial, "firmware": firmware}


def is_constant(setting: str, constant: str) -> str:
    """Expression that is 1 if a setting is a constant, otherwise 0."""
    return f"(({setting} == {constant}) and 1 or 0)"
