"""Read a VISA record. docs/traffic.md describes its lines."""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError

__all__ = ["SUFFIX", "VERSION", "Entry", "Record", "RecordError", "RecordedRun", "read_record"]

SUFFIX = ".visa.jsonl"
"""Suffix of the name of a VISA record."""

VERSION = 2

MESSAGES = ("open", "out", "in", "clear", "status byte", "trigger")

_CLOCK_BACK = 1.0
"""A reading of the clock may be earlier than the one before it by less than this (s): threads read it, too."""


class RecordError(Exception):
    """A file is not a VISA record, or not a valid one."""


@dataclass(frozen=True)
class Entry:
    """One call of a VISA function.

    Attributes
    ----------
    line
        Number of its line in the file.
    do
        One of `MESSAGES`.
    data
        Bytes sent or received.
    status
        VISA status that was returned.
    value
        Status byte.
    failure
        Exception raised instead.
    clock
        Readings of the experiment's clock between the previous call, of any instrument, and this one.
    """

    line: int
    instrument: str
    address: str
    do: str
    data: bytes
    status: int
    value: int
    failure: VisaIOError | OSError | None
    clock: tuple[float, ...]

    @property
    def described(self) -> str:
        """The call in a few words."""
        return described(self.do, self.data, failed=self.failure is not None)


@dataclass
class RecordedRun:
    """One run of the recorded command.

    Attributes
    ----------
    file
        Its file, relative to the VISA record.
    first_point
        Number of its first bias point; more than 0 for a resumed run.
    rows, columns
        Digest of each row, and of each column; None if the VISA record ends before the run.
    """

    file: str
    first_point: int
    rows: list[str] | None = None
    columns: dict[str, str] | None = None


@dataclass(frozen=True)
class Record:
    """A whole VISA record.

    Attributes
    ----------
    header
        First line.
    addresses
        Addresses of all instruments to which a connection was tried.
    entries
        All calls, in order, without successful connections, whose number depends on the program.
    clock
        The clock's readings after the last call.
    ended
        Error that ended the command, empty after success; None if the VISA record ends before.
    """

    header: Mapping[str, Any]
    addresses: frozenset[str]
    entries: tuple[Entry, ...]
    runs: tuple[RecordedRun, ...]
    clock: tuple[float, ...]
    ended: str | None


def described(do: str, data: bytes, *, failed: bool = False) -> str:
    """A call in a few words, the data shortened."""
    shown = repr(bytes(data[:200]))[1:] + (f"… ({len(data)} bytes)" if len(data) > 200 else "")
    words = {"out": f"{shown} sent", "in": f"{shown} received" if data else "an answer read"}.get(do, do)
    return f"{words}, which failed" if failed else words


class _Line(BaseModel):
    """One line. Which keys it needs depends on `do`; the first line has further ones."""

    model_config = ConfigDict(frozen=True, strict=True)

    labnis_visa_record: int | None = None
    do: Literal["open", "out", "in", "clear", "status byte", "trigger", "run", "rows", "end"] | None = None
    instrument: str = ""
    address: str = ""
    text: Annotated[str, Field(pattern=r"\A[\x00-\x7f]*\z")] = ""
    base64: str = ""
    status: str = "success"
    value: Annotated[int, Field(ge=0, le=0xFFFF)] = 0
    failed: str | None = None
    errno: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    reason: str = ""
    # So large that sleeping still changes it, whatever the clock's origin.
    clock: tuple[Annotated[float, Field(ge=0, lt=1e10)], ...] = ()
    file: str = ""
    first_point: Annotated[int, Field(ge=0, lt=2**31)] = 0
    rows: list[str] = []
    columns: dict[str, str] = {}
    ended: str | None = None

    @model_validator(mode="after")
    def _check_complete(self) -> "_Line":
        needed = {"run": {"file"}, "rows": {"file", "rows", "columns"}, "end": {"ended"}, None: set[str]()}
        if missing := needed.get(self.do, {"address"}) - self.model_fields_set:
            raise ValueError(f"it has no {min(missing)}")
        return self


def read_record(path: Path) -> Record:
    """Read the VISA record at `path`; an incomplete last line, of a killed run, is omitted.

    Raises
    ------
    RecordError
        The message has file, line and problem.
    """
    if path.exists() and not path.is_file():
        raise RecordError(f"{path}: is no ordinary file")
    try:
        *lines, _torn = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or error}") from error
    found = [_parsed(path, number, line) for number, line in enumerate(lines, start=1)]
    if not found or found[0].labnis_visa_record != VERSION:
        raise RecordError(f"{path}, line 1: not a VISA record of version {VERSION}")
    _check_clock(path, found)
    addresses: set[str] = set()
    entries: list[Entry] = []
    runs: dict[str, RecordedRun] = {}
    waiting: list[float] = []
    ended = None
    for number, line in enumerate(found, start=1):
        waiting.extend(line.clock)
        try:
            if line.do == "open" and line.failed is None:
                addresses.add(line.address)
            elif line.do in MESSAGES:
                addresses.add(line.address)
                entries.append(_entry(number, line, tuple(waiting)))
                waiting = []
            elif line.do == "run":
                runs[line.file] = RecordedRun(line.file, line.first_point)
            elif line.do == "rows":
                runs[line.file].rows, runs[line.file].columns = line.rows, line.columns
            elif line.do == "end":
                ended = line.ended
        except KeyError as error:
            raise RecordError(
                f"{path}, line {number}: rows of the run {line.file!r:.200}, which did not start"
            ) from error
        except ValueError as error:
            raise RecordError(f"{path}, line {number}: not a valid line: {error}") from error
    return Record(
        json.loads(lines[0]), frozenset(addresses), tuple(entries), tuple(runs.values()), tuple(waiting), ended
    )


def _parsed(path: Path, number: int, line: bytes) -> _Line:
    try:
        return _Line.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RecordError(f"{path}, line {number}: not a valid line: {where and f'{where}: '}{first['msg']}") from error


def _check_clock(path: Path, lines: Iterable[_Line]) -> None:
    """Check that the clock does not go back, as no program would end that waits by such a clock."""
    latest = 0.0
    for number, line in enumerate(lines, start=1):
        for reading in line.clock:
            if reading < latest - _CLOCK_BACK:
                raise RecordError(f"{path}, line {number}: the clock goes back from {latest:g} s to {reading:g} s")
            latest = max(latest, reading)


def _entry(number: int, line: _Line, clock: tuple[float, ...]) -> Entry:
    return Entry(
        line=number,
        instrument=line.instrument or line.address,
        address=line.address,
        do=str(line.do),
        data=base64.b64decode(line.base64, validate=True) if line.base64 else line.text.encode("ascii"),
        status=_status(line.status),
        value=line.value,
        failure=_failure(line) if line.failed is not None else None,
        clock=clock,
    )


def _status(name: str) -> int:
    if name in StatusCode.__members__:
        return StatusCode[name]
    if not -(2**31) <= int(name) < 2**31:
        raise ValueError(f"{name} is no VISA status")
    return int(name)


def _failure(line: _Line) -> VisaIOError | OSError:
    if "errno" not in line.model_fields_set:
        return VisaIOError(_status(str(line.failed)))
    if line.errno is not None:
        return OSError(line.errno, line.reason)  # which Python makes a ConnectionResetError or the like
    return TimeoutError(line.reason) if line.failed == "TimeoutError" else OSError(line.reason)
