"""Front panels older than SCPI: one word per command, no tree, no error queue.

`OUTP?1`, `DDEF ? 1`, `SLVL0.100`, `KRDG? 1` and trailing semicolons are all taken. A rejected command sets a bit of the
standard event status register (5: not understood, 4: not possible), changes nothing and answers nothing.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from sim_instruments.panels.front_panel import FrontPanel
from sim_instruments.panels.scpi import command, split_outside
from sim_instruments.panels.scpi_values import Call, Kind, ScpiError

__all__ = ["WordPanel", "command"]

UNIT = re.compile(r"\s*(\*?[A-Za-z]+)\s*(\??)\s*(.*?)\s*", re.ASCII | re.DOTALL)

Handler = Callable[[Any, Call], "str | bytes | None"]


class WordPanel(FrontPanel):
    """A front panel whose commands are single words.

    Methods are registered with `command("WORD", "WORD?")`; single values come from `words`.

    Attributes
    ----------
    state
        Value of each entry of `words`, by its word.

    """

    words: ClassVar[dict[str, Kind]] = {}
    number_format: ClassVar[str] = "g"
    _handlers: ClassVar[dict[str, Handler]] = {}

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls._handlers = {**cls._handlers, **dict(cls._own_handlers())}

    @classmethod
    def _own_handlers(cls) -> Iterator[tuple[str, Handler]]:
        for word, kind in vars(cls).get("words", {}).items():
            yield from _value_handlers(word, kind)
        for member in vars(cls).values():
            for header in getattr(member, "scpi_headers", ()):
                yield header, member

    def reset(self) -> None:
        """Set every word to its default."""
        self.state: dict[str, Any] = {
            word: kind.default for parent in type(self).__mro__ for word, kind in vars(parent).get("words", {}).items()
        }

    def word_changed(self, word: str) -> None:
        """Act on a value that has just been written."""

    def execute(self, message: str) -> list[bytes]:
        """Carry out the commands of one line; each query answers with a message of its own."""
        answers: list[bytes] = []
        for unit in split_outside(message, ";"):
            if not unit.strip():
                continue
            try:
                answer = self._execute_unit(unit)
            except ScpiError as error:
                self.event_status |= self.EXECUTION_ERROR if error.code <= -200 else self.COMMAND_ERROR
                continue
            if answer is not None:
                answers.append(answer.encode() if isinstance(answer, str) else answer)
        return answers

    def _execute_unit(self, unit: str) -> str | bytes | None:
        match = UNIT.fullmatch(unit)
        handler = self._handlers.get(match[1].upper() + match[2]) if match else None
        if match is None or handler is None:
            raise ScpiError(-113)
        arguments = tuple([part.strip() for part in split_outside(match[3], ",")]) if match[3] else ()
        return handler(self, Call((), arguments))

    def show_bits(self, value: int, call: Call) -> tuple[str, int]:
        """Answer a status byte, or the one bit that the query names; also returns the bits to clear."""
        if not call.arguments:
            return str(value), value
        bit = round(call.number(0, 0, 7))
        return str(value >> bit & 1), value & 1 << bit

    @command("*IDN?")
    def _identify(self, call: Call) -> str:
        return self.identification

    @command("*RST")
    def _reset(self, call: Call) -> None:
        self.reset()

    @command("*CLS")
    def _clear_status(self, call: Call) -> None:
        self.event_status = 0

    @command("*OPC")
    def _operation_complete(self, call: Call) -> None:
        self.announce_completion()

    @command("*OPC?")
    def _operation_complete_query(self, call: Call) -> str:
        self.wait_for_operation()
        return "1"

    @command("*WAI")
    def _wait(self, call: Call) -> None:
        self.wait_for_operation()

    @command("*TST?")
    def _self_test(self, call: Call) -> str:
        return "0"

    @command("*STB?")
    def _read_status_byte(self, call: Call) -> str:
        return self.show_bits(self.status_byte(), call)[0]

    @command("*ESR?")
    def _read_event_status(self, call: Call) -> str:
        answer, cleared = self.show_bits(self.event_status, call)
        self.event_status &= ~cleared
        return answer

    @command("*ESE")
    def _enable_events(self, call: Call) -> None:
        self.event_enable = int(call.number(0, 0, 255))

    @command("*ESE?")
    def _show_event_enable(self, call: Call) -> str:
        return str(self.event_enable)

    @command("*SRE")
    def _enable_service(self, call: Call) -> None:
        self.service_enable = int(call.number(0, 0, 255)) & ~self.MASTER_SUMMARY

    @command("*SRE?")
    def _show_service_enable(self, call: Call) -> str:
        return str(self.service_enable)


def _value_handlers(word: str, kind: Kind) -> Iterator[tuple[str, Handler]]:
    """Handlers that write and show the value of `word`."""

    def change(panel: WordPanel, call: Call) -> None:
        call.expect(1)
        panel.state[word] = call.parse(0, kind)
        panel.word_changed(word)

    def show(panel: WordPanel, call: Call) -> str:
        call.expect(0)
        return kind.show(panel.state[word], panel.number_format)

    yield word, change
    yield word + "?", show


# Registered by hand: `__init_subclass__` runs for subclasses only.
WordPanel._handlers = dict(WordPanel._own_handlers())
