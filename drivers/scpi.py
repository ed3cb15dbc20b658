"""Checks of every driver: commands are accepted, settings read back, numbers are possible.

`CheckedInstrument` is a mix-in in front of a QCoDeS instrument class::

    class Keithley2450(CheckedInstrument, qcodes.instrument_drivers.Keithley.Keithley2450): ...

`drivers.line` has what concerns the connection, `drivers.answers` what a number may be.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from drivers.answers import is_choice, is_same, measured, numbers, register
from drivers.errors import OverloadError, RejectedCommandError, SettingError
from drivers.line import InstrumentLine

__all__ = ["CheckedInstrument"]

MOST_ERRORS = 50
# An entry of the error queue: a number and a text.
ENTRY = re.compile(r"([+-]?\d{1,9})\s*,.*", re.DOTALL | re.ASCII)


class CheckedInstrument(InstrumentLine):
    """A VISA instrument whose failures are errors of `drivers.errors`."""

    def __init__(self, name: str, address: str, **kwargs: Any) -> None:
        # Query → setting, as `apply` and `choose` have confirmed it since `prepare` began.
        self._confirmed: dict[str, float | str] = {}
        super().__init__(name, address, **kwargs)

    # --- numbers -----------------------------------------------------------------------------------------------------

    def ask_numbers(self, cmd: str, count: int) -> list[float]:
        """Query exactly `count` comma-separated numbers; markers and NaN are returned unchanged.

        Raises
        ------
        CommunicationError
            If the answer is anything else.

        """
        answer = self.ask(cmd)
        found = numbers(answer, count)
        if found is None:
            raise self.unexpected(answer, cmd, f"{count} number(s)")
        return found

    def ask_number(self, cmd: str) -> float:
        """Query one number; see `ask_numbers`."""
        return self.ask_numbers(cmd, 1)[0]

    def ask_reading(self, cmd: str, count: int = 1, beside: tuple[str, ...] = ()) -> list[float]:
        """As `ask_numbers`, for a measurement: the answer to the query before is never taken for it.

        The settings that `beside` queries are read in the same message, and compared with those that were confirmed.

        Raises
        ------
        SettingError
            If one of them is another.

        """
        self.distinguish(lambda answer: _first_numbers(answer.split(";"), count, len(beside)) is not None)
        answers = self.ask_each((cmd, *beside))
        self.require_as_confirmed(beside, answers[1:], "beside a reading")
        found = _first_numbers(answers, count, len(beside))
        if found is None:
            raise self.unexpected(answers[0], cmd, f"{count} number(s)")
        return found

    def ask_within(self, cmd: str, low: float, high: float) -> float:
        """Query a number from `low` to `high`.

        Raises
        ------
        CommunicationError
            If the answer is anything else.

        """
        found = self.ask_number(cmd)
        if not low <= found <= high:
            raise self.unexpected(f"{found:g}", cmd, f"{low:g} to {high:g}")
        return found

    def ask_register(self, cmd: str) -> int:
        """Query a register, a whole number of at most 16 bits.

        Raises
        ------
        CommunicationError
            If the answer is anything else.

        """
        answer = self.ask(cmd)
        found = register(answer)
        if found is None:
            raise self.unexpected(answer, cmd, "a whole number from 0 to 65535")
        return found

    def ask_flag(self, cmd: str) -> bool:
        """Query whether something is on; see `ask_register`."""
        answer = self.ask(cmd)
        found = register(answer)
        if found not in (0, 1):
            raise self.unexpected(answer, cmd, "0 or 1")
        return found == 1

    def ask_each(self, queries: tuple[str, ...]) -> tuple[str, ...]:
        """Send several short queries in one message; each header begins with a colon.

        Raises
        ------
        CommunicationError
            If there are more or fewer answers than queries.

        """
        message = ";".join(queries)
        answer = self.ask(message)
        answers = tuple(answer.strip().split(";"))
        if len(answers) != len(queries):
            raise self.unexpected(answer, message, f"{len(queries)} answers")
        return answers

    def measured(self, value: float, quantity: str) -> float:
        """Return `value` if it is a measurement; see `drivers.answers.measured`."""
        return measured(value, quantity, self.described)

    # --- settings ----------------------------------------------------------------------------------------------------

    def apply(self, command: str, value: Any, *, tolerance: float = 0.0) -> float:
        """Write `command value` once and read the setting back; `require_unchanged` compares it again later.

        Parameters
        ----------
        command
            Header of the command.
        value
            A number or a bool.
        tolerance
            Largest absolute difference that counts as equal.

        Returns
        -------
        float
            The setting as read back.

        Raises
        ------
        SettingError
            If the instrument reads back another value.

        """
        self.write(f"{command} {_text(value)}")
        return self.require(f"{command}?", value, tolerance=tolerance)

    def require(self, query: str, value: float, *, tolerance: float = 0.0) -> float:
        """Read a setting back, as `apply` does."""
        found = self.ask_number(query)
        if not abs(found - value) <= tolerance:
            raise self.refused(query, f"{found:.10g}", f"{float(value):.10g}")
        self._confirmed[query] = found
        return found

    def choose(self, command: str, value: str) -> None:
        """Write a choice in its short form and read it back; `require_unchanged` compares it again later.

        Raises
        ------
        SettingError
            If the instrument has another one.

        """
        self.write(f"{command} {value}")
        self.require_choice(f"{command}?", value)

    def require_choice(self, query: str, value: str) -> None:
        """Read a choice back, as `choose` does."""
        answer = self.ask(query)
        if not is_choice(answer, value):
            raise self.refused(query, answer.strip()[:80], value)
        self._confirmed[query] = value

    def apply_together(self, settings: Mapping[str, float | str]) -> None:
        """As `apply` and `choose`, for several settings (header → value): all in one message, read back in another.

        Raises
        ------
        SettingError
            If the instrument has another value.

        """
        texts = {command: value if isinstance(value, str) else _text(value) for command, value in settings.items()}
        self.write(";".join(f"{command} {text}" for command, text in texts.items()))
        queries = tuple(f"{command}?" for command in settings)
        for query, value, answer in zip(queries, settings.values(), self.ask_each(queries), strict=True):
            if not is_same(answer, value):
                raise self.refused(query, answer.strip()[:80], texts[query[:-1]])
            self._confirmed[query] = value

    def require_unchanged(self, when: str) -> None:
        """Read all settings again in one message and compare them with those that `prepare` has confirmed.

        An answer that came late while they were confirmed, or a change at the front panel, does not pass: the
        message has its own number of answers, and each of them is known.

        Parameters
        ----------
        when
            When that is, for the message.

        Raises
        ------
        SettingError
            If one is another.
        CommunicationError
            If the answers cannot be read.

        """
        queries = tuple(self._confirmed)
        self.require_as_confirmed(queries, self.ask_each(queries), when)

    def require_as_confirmed(self, queries: tuple[str, ...], answers: tuple[str, ...], when: str) -> None:
        """Compare `answers` to `queries` with the settings that were confirmed, as `require_unchanged` does."""
        for query, answer in zip(queries, answers, strict=True):
            known = self._confirmed[query]
            if not is_same(answer, known):
                self.lost_step()
                shown = known if isinstance(known, str) else f"{known:.10g}"
                raise SettingError(
                    self.described,
                    f"{query} reads {answer.strip()[:80]} {when}; {shown} was confirmed before.",
                    "The instrument was changed or reset, or an answer was late: prepare the measurement again.",
                )

    def differing(self, wanted: Mapping[str, float | str]) -> list[str]:
        """Read settings (query → value) in one message; a phrase for each that is another than `wanted`."""
        answers = self.again(lambda: self.ask_each(tuple(wanted)))
        return [
            f"{query} reads {answer.strip()[:80]}, not {value if isinstance(value, str) else f'{value:g}'}"
            for (query, value), answer in zip(wanted.items(), answers, strict=True)
            if not is_same(answer, value)
        ]

    def refused(self, query: str, found: str, requested: str) -> SettingError:
        """The error of a setting that reads back differently, with an entry of the instrument's error queue."""
        entry = self.next_error()
        reported = f"; the instrument reports {entry}" if entry else ""
        return SettingError(
            self.described,
            f"{query} reads {found} where {requested} was requested{reported}.",
            "Nothing was switched on. Check the value against the instrument's limits and its other settings.",
        )

    # --- error queue -------------------------------------------------------------------------------------------------

    def next_error(self) -> str | None:
        """Remove the oldest entry from the instrument's error queue and return it; None if there is none."""
        entry = self.ask(":SYST:ERR?").strip()
        found = ENTRY.fullmatch(entry)
        if found is None:
            raise self.unexpected(entry, ":SYST:ERR?", "a number and a text")
        return entry[:200] if int(found[1]) != 0 else None

    def check_errors(self) -> None:
        """Empty the error queue.

        Raises
        ------
        OverloadError
            If an entry reports an overload.
        RejectedCommandError
            If there are other entries; the message has them and the last command.

        """
        last_command = self._last_command
        entries = "; ".join(self._drain())
        if "overload" in entries.lower():
            raise OverloadError(self.described, f"reports {entries}.", "Reduce the power at its input.")
        if entries:
            raise self.rejected(entries, last_command)

    def rejected(self, entries: str, last_command: str = "") -> RejectedCommandError:
        """The error of `entries` of the error queue, after `last_command`; by default after the last one written."""
        return RejectedCommandError(
            self.described,
            f"reports {entries} (last command {last_command or self._last_command!r}).",
            "The command was not executed: compare it with the instrument's manual and limits.",
        )

    def discard_errors(self) -> None:
        """Move older entries of the error queue into the log."""
        for entry in self._drain():
            self.log.warning("%s had an older entry in its error queue: %s", self.described, entry)

    def _drain(self) -> list[str]:
        entries: list[str] = []
        while len(entries) < MOST_ERRORS and (entry := self.next_error()) is not None:
            entries.append(entry)
        return entries


def _first_numbers(answers: Sequence[str], count: int, others: int) -> list[float] | None:
    """The `count` numbers that the first of `answers` is; None if it is anything else, or not followed by `others`."""
    return numbers(answers[0], count) if len(answers) == 1 + others else None


def _text(value: Any) -> str:
    """Parameter text: ON/OFF for bools, 10 significant digits for numbers."""
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    return str(value) if isinstance(value, int) else f"{float(value):.10g}"
