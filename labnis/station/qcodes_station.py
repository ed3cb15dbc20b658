"""A QCoDeS station that opens instruments from the checked section of the station file."""

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from qcodes.station import Station

__all__ = ["CheckedStation", "without_warnings_of_qcodes"]


class CheckedStation(Station):
    """A QCoDeS station with exactly the checked section.

    QCoDeS reads the file again for every instrument, and warns about unknown keys. This class gives it the
    `instruments:` section as labnis checked it, even if the file has changed since.
    """

    def __init__(self, instruments: Mapping[str, Any]) -> None:
        self._checked = json.dumps({"instruments": instruments})
        super().__init__(default=False, use_monitor=False)

    def load_config_files(self, *filenames: str) -> None:
        """Load the checked section instead of `filenames`, once."""
        if self.config is None:
            self.load_config(self._checked)


@contextlib.contextmanager
def without_warnings_of_qcodes() -> Iterator[None]:
    """Keep QCoDeS's log to errors: it warns of every parameter that cannot be read, which a snapshot leaves out."""
    qcodes = logging.getLogger("qcodes")
    before = qcodes.level
    qcodes.setLevel(logging.ERROR)
    try:
        yield
    finally:
        qcodes.setLevel(before)
