"""What the program reports while it works: on the terminal, and in a file beside each run."""

import logging
import sys
from pathlib import Path

from labnis.printable import printable

__all__ = ["FILE_ONLY", "LogFile", "log_steps", "log_to_terminal"]

_TERMINAL = "labnis terminal"


class _Escaped(logging.Formatter):
    """Formats messages and their tracebacks without control characters, as both may quote files and instruments."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def log_to_terminal() -> None:
    """Show warnings on standard error; nothing is changed where the process logs already."""
    handler = logging.StreamHandler(sys.stderr)
    handler.name = _TERMINAL
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Escaped("labnis: %(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def log_steps(*, on_terminal: bool) -> None:
    """Report the single steps of labnis, too: to log files and, if wanted, on the terminal."""
    logging.getLogger("labnis").setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        if handler.name == _TERMINAL:
            handler.setLevel(logging.INFO if on_terminal else logging.WARNING)


FILE_ONLY = logging.getLogger("labnis.run")
"""What log files say about a run, and the terminal shows in another form."""
FILE_ONLY.propagate = False
FILE_ONLY.addHandler(logging.NullHandler())


class LogFile:
    """A file that gets every message until it is closed."""

    def __init__(self, path: Path) -> None:
        self._handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
        self._handler.setFormatter(_Escaped("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        for logger in (logging.getLogger(), FILE_ONLY):
            logger.addHandler(self._handler)

    def close(self) -> None:
        """Close the file."""
        for logger in (logging.getLogger(), FILE_ONLY):
            logger.removeHandler(self._handler)
        self._handler.close()
