"""Front panels older than SCPI: one word per command, no tree, no error queue.

`OUTP?1`, `DDEF ? 1`, `SLVL0.100`, `KRDG? 1` and trailing semicolons are accepted. A rejected command sets a bit of the
standard event status register (5: not understood, 4: not possible), changes nothing and answers nothing.
"""

import re
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from sim_instruments.panels.front_panel import FrontPanel, Handler, split_outside
from sim_instruments.panels.scpi_values import Call, Kind, ScpiError

__all__ = ["Table", "WordPanel"]

UNIT = re.compile(r"\s*(\*?[A-Za-z]+)\s*(\??)\s*(.*?)\s*", re.ASCII | re.DOTALL)


class Table(NamedTuple):
    """Values that one command sets for one channel, such as `INSET 1,1,5,3,0,1`: channel → values after `*RST`."""

    kinds: tuple[Kind, ...]
    defaults: dict[int, tuple[Any, ...]]
    real: str = "g"  # format of a real number


class WordPanel(FrontPanel):
    """A front panel whose commands are single words.

    Methods are registered with `command("WORD", "WORD?")`; single values come from `words`, rows from `tables`.

    Attributes
    ----------
    state
        Value of each entry of `words`, by its word.
    rows
        Values of each entry of `tables`, by its word and channel.

    """

    words: ClassVar[dict[str, Kind]] = {}
    tables: ClassVar[dict[str, Table]] = {}
    number_format: ClassVar[str] = "g"

    @classmethod
    def own_commands(cls) -> Iterator[tuple[str, Handler]]:
        """Words and handlers of this class, including those of its values and tables."""
        for word, kind in vars(cls).get("words", {}).items():
            yield from _value_handlers(word, kind)
        for word, table in vars(cls).get("tables", {}).items():
            yield from _table_handlers(word, table)
        yield from super().own_commands()

    def reset(self) -> None:
        """Set every word and every table to its defaults."""
        parents = [vars(parent) for parent in type(self).__mro__]
        self.state: dict[str, Any] = {
            word: kind.default for parent in parents for word, kind in parent.get("words", {}).items()
        }
        self.rows: dict[str, dict[int, tuple[Any, ...]]] = {
            word: dict(table.defaults) for parent in parents for word, table in parent.get("tables", {}).items()
        }

    def word_changed(self, word: str) -> None:
        """Act on a value that was just written."""

    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one command; each query answers with a separate message."""
        match = UNIT.fullmatch(unit)
        handler = self.commands.get(match[1].upper() + match[2]) if match else None
        if match is None or handler is None:
            raise ScpiError(-113)
        arguments = tuple([part.strip() for part in split_outside(match[3], ",")]) if match[3] else ()
        return handler(self, Call((), arguments))

    def rejected(self, error: ScpiError) -> bool:
        """Set the bit of the standard event status register; later units are executed."""
        self.event_status |= self.EXECUTION_ERROR if error.code <= -200 else self.COMMAND_ERROR
        return False

    def show_register(self, value: int, call: Call) -> tuple[str, int]:
        """Answer a status register, or the one bit that the query names."""
        if not call.arguments:
            return super().show_register(value, call)
        bit = round(call.number(0, 0, 7))
        return str(value >> bit & 1), value & 1 << bit


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


def _table_handlers(word: str, table: Table) -> Iterator[tuple[str, Handler]]:
    """Handlers that write and show one row of the table of `word`."""

    def channel_of(call: Call, parameters: int) -> int:
        channel = call.channel(table.defaults)
        call.expect(parameters)
        return channel

    def change(panel: WordPanel, call: Call) -> None:
        channel = channel_of(call, 1 + len(table.kinds))
        panel.rows[word][channel] = tuple([call.parse(index, kind) for index, kind in enumerate(table.kinds, start=1)])

    def show(panel: WordPanel, call: Call) -> str:
        row = panel.rows[word][channel_of(call, 1)]
        return ",".join([format(value, table.real) if isinstance(value, float) else str(value) for value in row])

    yield word, change
    yield word + "?", show
