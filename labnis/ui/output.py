"""What commands print: lines, tables and JSON, in any encoding, to terminals, pipes and full disks.

Text that comes from files and instruments is escaped: no control character reaches a terminal.
"""

import codecs
import errno
import io
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from labnis.printable import printable as shown

__all__ = [
    "cells",
    "console_of",
    "doubts_in_words",
    "duration_text",
    "encodable",
    "listed",
    "minute",
    "print_table",
    "say",
    "say_json",
    "shown",
    "steady_streams",
    "width_of",
    "worded",
]

_WIDEST = 10_000
"""Characters in a line of a table that is not printed to a terminal."""

_PLAIN = {
    "µ": "u", "μ": "u", "σ": "sigma", "±": "+-", "χ": "chi", "ν": "nu", "²": "^2", "³": "^3", "⁴": "^4", "⁵": "^5",
    "Ω": "ohm", "Δ": "Delta", "Γ": "Gamma", "γ": "gamma", "κ": "kappa", "τ": "tau", "→": "->", "…": "...", "·": "*",
    "×": "x", "–": "-", "—": "-", "≤": "<=", "≥": ">=", "≈": "~", "°": "deg", "“": '"', "”": '"', "’": "'",
    "−": "-", "⁻": "^-", "₋": "_-", "₀": "_0", "₁": "_1", "φ": "phi", "ω": "omega", "ħ": "hbar", "≫": ">>", "√": "sqrt",
    "\u0304": "",
}  # fmt: skip
"""Characters of units and results → how they are written where the encoding of the output lacks them."""


def minute(time: datetime) -> str:
    """Local date and time to the minute."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M")


def doubts_in_words(doubts: Mapping[str, Sequence[str]]) -> list[str]:
    """`doubts` (analysis → texts; of all of them for ""), each with the name of its analysis."""
    return [": ".join(filter(None, (name, text))) for name, texts in doubts.items() for text in texts]


def duration_text(seconds: float) -> str:
    """Hours, minutes and seconds, such as 0:01:30; "?" where it is not known."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Error handler of codecs: a readable replacement, or an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text), error.end


codecs.register_error("labnis", _in_ascii)


class _SteadyStream(io.TextIOBase):
    """A standard stream whose failure does not end the command: what cannot be written is dropped, and told once.

    A measurement and its exit code do not depend on a pipe or a full disk behind its output.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="labnis")

    @property
    def encoding(self) -> str:  # type: ignore[override]  # read-only here
        return self._stream.encoding or "ascii"

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # as above
        return self._stream.errors

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except (OSError, ValueError) as error:  # ValueError: it is closed
            self._drop(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError) as error:
            self._drop(error)

    def close(self) -> None:
        """Leave the stream open: it belongs to the process."""

    def _drop(self, error: OSError | ValueError) -> None:
        """Send the rest to the null device: also what is in the buffer, which Python writes when it ends."""
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)
        except (OSError, ValueError):  # it has no file descriptor
            self._stream = io.StringIO()
        if self._name == "standard output" and getattr(error, "errno", None) != errno.EPIPE:
            say(f"labnis: standard output cannot be written, the rest of it is dropped: {error}", err=True)


@contextmanager
def steady_streams() -> Iterator[None]:
    """Make standard output and standard error steady: neither a full disk, a closed pipe nor an encoding fails."""
    before = sys.stdout, sys.stderr
    sys.stderr = _SteadyStream(before[1] or io.StringIO(), "standard error")  # None: closed by the caller
    sys.stdout = _SteadyStream(before[0] or io.StringIO(), "standard output")
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def listed(values: Mapping[str, Any], units: Mapping[str, str] = MappingProxyType({})) -> str:
    """A mapping in one line, without unknown values; parts of nested ones by dotted name, with the units of `units`."""
    return ", ".join(f"{name} {worded(value)} {units.get(name, '')}".rstrip() for name, value in _parts(values))


def _parts(values: Mapping[str, Any], owner: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _parts(value, f"{owner}{key}.")
        elif value is not None:
            yield f"{owner}{key}", value


def worded(value: Any) -> str:
    """`value` as a station file has it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(worded, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def say(text: object, *, err: bool = False) -> None:
    """Print lines to standard output, or to standard error with `err`, escaped."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{shown(text)}\n")
    stream.flush()


def say_json(value: Any) -> None:
    """Print `value` as JSON in ASCII: dataclasses as objects, unknown numbers (NaN) as null, other types as text."""
    say(json.dumps(_plain(value), default=str))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    value = value.tolist() if hasattr(value, "tolist") else value  # of NumPy
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def encodable(text: str) -> str:
    """`text` in characters of standard output's encoding, so that the width of a cell is known before it is printed."""
    stream = getattr(sys.stdout, "rich_proxied_file", sys.stdout)  # beside a live display, what it stands for
    encoding = getattr(stream, "encoding", None) or "ascii"
    return text.encode(encoding, "labnis").decode(encoding)


def cells(texts: Iterable[object], longest: int = 1000) -> list[Text]:
    """Cells of a table: escaped, without markup, and cut after `longest` characters."""
    cut = (text if len(text) <= longest else f"{text[:longest]}…" for text in map(shown, texts))
    return [Text(encodable(text), overflow="fold") for text in cut]


def console_of(stream: TextIO, widest: int = _WIDEST) -> Console:
    """A console on `stream`; one that is no terminal gets whole lines without colours."""
    return Console(file=stream, width=None if stream.isatty() else widest, highlight=False, emoji=False)


def width_of(stream: TextIO) -> float:
    """Characters in a line of `stream`; infinite where it is no terminal."""
    return console_of(stream).width if stream.isatty() else math.inf


def print_table(table: Table, *, err: bool = False, widest: int = _WIDEST) -> None:
    """Print `table`; where there is no terminal, without lines, each row in lines of at most `widest` characters."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        table.box, table.pad_edge, table.padding, table.expand = None, False, (0, 2, 0, 0), False
    console = console_of(stream, widest)
    with console.capture() as captured:
        console.print(table)
    stream.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())
    stream.flush()
