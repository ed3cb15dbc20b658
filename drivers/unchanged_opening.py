"""Connecting changes nothing: what upstream's constructor sets is sent before the first setting that follows.

`labnis check --open` opens instruments that somebody else may be looking at. QCoDeS's constructors end a continuous
sweep (N9030B), select a trace (PNA), clear the display (344xx) or change the elements of a reading (2400).
"""

import re
from typing import Any

from drivers.scpi import CheckedInstrument

__all__ = ["UnchangedOpening"]

DATA_FORMAT = re.compile(r":?FORM(?::DATA|:BORD)? ", re.IGNORECASE)
"""The format of data at the remote interface, without which upstream's own queries are misread: sent at once."""


class UnchangedOpening(CheckedInstrument):
    """A mix-in in front of a QCoDeS class whose constructor sets something."""

    _opening = False

    def __init__(self, name: str, address: str, **options: Any) -> None:
        self._opening, self._put_off = True, list[str]()
        super().__init__(name, address, **options)
        self._opening = False

    def write(self, cmd: str) -> None:
        """Send a command once, after those that the constructor has put off; as `InstrumentLine.write`."""
        if self._opening and not DATA_FORMAT.match(cmd):
            self._put_off.append(cmd)
            return
        while self._put_off and not self._opening:
            super().write(self._put_off.pop(0))
        super().write(cmd)
