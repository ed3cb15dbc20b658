"""Front panels older than SCPI: one word per command, no tree, no error queue.

`OUTP?1`, `DDEF ? 1`, `SLVL0.100`, `KRDG? 1` and trailing semicolons are accepted. A rejected command sets a bit of the
standard event status register (5: not understood, 4: not possible), changes nothing and answers nothing.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from sim_instruments.panels.front_panel import FrontPanel, Handler, Setting, split_arguments
from sim_instruments.panels.scpi_values import Call, Kind, ScpiError

__all__ = ["Table", "WordPanel", "word_settings"]

UNIT = re.compile(r"\s*(\*?[A-Za-z]+)\s*(\??)\s*(.*?)\s*", re.ASCII | re.DOTALL)


def word_settings(**kinds: Kind) -> tuple[Setting, ...]:
    """Settings whose names are their words."""
    return tuple(Setting(word, word, kind) for word, kind in kinds.items())


class Table:
    """Values that one command sets for one channel, such as `INSET 1,1,5,3,0,1`.

    Parameters
    ----------
    name
        The word; the panel's `state` has a dictionary channel → values by this name.
    channels
        Numbers of the channels.
    *kinds
        Kinds of the values.
    real
        Format of a real number.

    """

    def __init__(self, name: str, channels: Iterable[int], *kinds: Kind, real: str = "g") -> None:
        self.name = name
        self._channels = tuple(channels)
        self._kinds = kinds
        self._real = real

    @property
    def default(self) -> dict[int, tuple[Any, ...]]:
        """Value after `*RST`."""
        return dict.fromkeys(self._channels, tuple([kind.default for kind in self._kinds]))

    def commands(self) -> Iterator[tuple[str, Handler]]:
        """The command and the query."""
        yield self.name, self._change
        yield self.name + "?", self._show

    def _change(self, panel: FrontPanel, call: Call) -> None:
        channel = call.channel(self._channels)
        call.expect(1 + len(self._kinds))
        values = [call.parse(index, kind) for index, kind in enumerate(self._kinds, start=1)]
        panel.state[self.name][channel] = tuple(values)

    def _show(self, panel: FrontPanel, call: Call) -> str:
        channel = call.channel(self._channels)
        call.expect(1)
        values = panel.state[self.name][channel]
        return ",".join([format(value, self._real) if isinstance(value, float) else str(value) for value in values])


class WordPanel(FrontPanel):
    """A front panel whose commands are single words; its settings are those of `word_settings`, and tables."""

    number_format = "g"

    def execute_unit(self, unit: str) -> str | bytes | None:
        """Execute one command; each query answers with a separate message."""
        match = UNIT.fullmatch(unit)
        handler = self.commands().get(match[1].upper() + match[2]) if match else None
        if match is None or handler is None:
            raise ScpiError(-113)
        return handler(self, Call((), split_arguments(match[3])))

    def show_register(self, value: int, call: Call) -> tuple[str, int]:
        """Answer a status register, or the one bit that the query names."""
        if not call.arguments:
            return super().show_register(value, call)
        bit = round(call.number(0, 0, 7))
        return str(value >> bit & 1), value & 1 << bit
