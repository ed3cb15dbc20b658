"""Read a VISA record. docs/traffic.md describes its lines."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError

__all__ = ["SUFFIX", "VERSION", "Entry", "Record", "RecordError", "RecordedRun", "read_record"]

SUFFIX = ".visa.jsonl"
"""Suffix of the name of a VISA record."""

VERSION = 2

MESSAGES = ("open", "out", "in", "clear", "status byte", "trigger")


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


def read_record(path: Path) -> Record:
    """Read the VISA record at `path`; an incomplete last line, of a killed run, is omitted.

    Raises
    ------
    RecordError
        The message has file, line and problem.
    """
    try:
        *lines, _torn = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror or error}") from error
    found = [_parsed(path, number, line) for number, line in enumerate(lines, start=1)]
    if not found or found[0].get("labnis_visa_record") != VERSION:
        raise RecordError(f"{path}, line 1: not a VISA record of version {VERSION}")
    addresses: set[str] = set()
    entries: list[Entry] = []
    runs: dict[str, RecordedRun] = {}
    waiting: tuple[float, ...] = ()
    ended = None
    for number, line in enumerate(found, start=1):
        waiting += tuple(line.get("clock", ()))
        try:
            if line.get("do") == "open" and "failed" not in line:
                addresses.add(line["address"])
            elif line.get("do") in MESSAGES:
                addresses.add(line["address"])
                entries.append(_entry(number, line, waiting))
                waiting = ()
            elif line.get("do") == "run":
                runs[line["file"]] = RecordedRun(line["file"], line["first_point"])
            elif line.get("do") == "rows":
                runs[line["file"]].rows, runs[line["file"]].columns = line["rows"], line["columns"]
            elif line.get("do") == "end":
                ended = line["ended"]
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise RecordError(f"{path}, line {number}: not a valid line: {error!r}") from error
    return Record(found[0], frozenset(addresses), tuple(entries), tuple(runs.values()), waiting, ended)


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise RecordError(f"{path}, line {number}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise RecordError(f"{path}, line {number}: not a JSON object")
    return value


def _entry(number: int, line: Mapping[str, Any], clock: tuple[float, ...]) -> Entry:
    data = base64.b64decode(line["base64"], validate=True) if "base64" in line else line.get("text", "").encode("ascii")
    return Entry(
        line=number,
        instrument=line["instrument"] or line["address"],
        address=line["address"],
        do=line["do"],
        data=data,
        status=_status(line.get("status", "success")),
        value=line.get("value", 0),
        failure=_failure(line) if "failed" in line else None,
        clock=clock,
    )


def _status(name: str) -> int:
    return StatusCode[name] if name in StatusCode.__members__ else int(name)


def _failure(line: Mapping[str, Any]) -> VisaIOError | OSError:
    if "errno" not in line:
        return VisaIOError(_status(line["failed"]))
    if line["errno"] is not None:
        return OSError(line["errno"], line["reason"])  # which Python makes a ConnectionResetError or the like
    return TimeoutError(line["reason"]) if line["failed"] == "TimeoutError" else OSError(line["reason"])
