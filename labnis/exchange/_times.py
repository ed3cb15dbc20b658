"""When data of other programs were measured, as far as their files say it."""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py

__all__ = ["time_in"]

_TIME = r"(?P<H>\d{1,2}):(?P<M>\d\d)(?::(?P<S>\d\d))?(?![:\d]|\s*[AP]M)"
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<b>{'|'.join(_NAMES)})[a-z]*\.?"
# Of a day and a month as two numbers with a slash nobody knows which is which.
_WRITTEN = tuple(
    re.compile(text, re.IGNORECASE)
    for text in (
        rf"\b(?P<Y>\d{{4}})[-/](?P<m>\d\d)[-/](?P<d>\d\d)[T ]\s*{_TIME}(?:\.\d+)?\s*(?P<z>Z|[+-]\d\d:\d\d)?",
        rf"\b(?P<d>\d{{1,2}})\.(?P<m>\d{{1,2}})\.(?P<Y>\d{{4}})[T ,]\s*{_TIME}",
        rf"\b{_MONTH}\s+(?P<d>\d{{1,2}}),?\s+(?P<Y>\d{{4}})[ ,]\s*{_TIME}",
        rf"\b(?P<d>\d{{1,2}})[ -]{_MONTH}[ -](?P<Y>\d{{4}})[ ,]\s*{_TIME}",
        rf"\b{_MONTH}\s+(?P<d>\d{{1,2}})\s+{_TIME}\s+(?P<Y>\d{{4}})",
    )
)
# Lines at the beginning of a text that are searched.
_LINES = 100
# Seconds since 1970, as Labber, plottr and QCoDeS write them.
_ATTRIBUTES = ("creation_time", "__creation_time_sec__", "run_timestamp_raw")


def time_in(path: Path) -> tuple[datetime, str] | None:
    """The time that the file at `path` says, and in which line or attribute; None if it says none."""
    with suppress(OSError, sqlite3.Error, ValueError, OverflowError, TypeError, KeyError):  # reading it tells more
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                groups = [file, *(item for item in file.values() if isinstance(item, h5py.Group))]
                return next((found for group in groups if (found := _in_attributes(group.attrs))), None)
        if path.suffix.lower() == ".db":
            with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
                row = database.execute("SELECT run_timestamp FROM runs ORDER BY run_id DESC LIMIT 1").fetchone()
            return None if row is None else (_of_seconds(row[0]), "run_timestamp")
        if path.suffix.lower() != ".mat":
            with path.open(encoding="utf-8-sig", errors="replace") as text:
                lines = [text.readline() for _ in range(_LINES)]
            told = ((_of_text(line), f"line {number}") for number, line in enumerate(lines, 1))
            return next(((time, place) for time, place in told if time is not None), None)
    return None


def _in_attributes(known: Mapping[str, Any]) -> tuple[datetime, str] | None:
    return next(((_of_seconds(known[name]), name) for name in _ATTRIBUTES if name in known), None)


def _of_seconds(value: Any) -> datetime:
    return datetime.fromtimestamp(float(value)).astimezone()


def _of_text(line: str) -> datetime | None:
    """The first time in a `line`, local unless it says its zone."""
    for pattern in _WRITTEN:
        if match := pattern.search(line):
            part = match.groupdict()
            month = part.get("m") or 1 + _NAMES.index(part["b"].lower()[:3])
            numbers = [int(one) for one in (part["Y"], month, part["d"], part["H"], part["M"], part["S"] or 0)]
            with suppress(ValueError, OverflowError):  # no date, such as 2026-13-45
                found = datetime(*numbers[:3], *numbers[3:])  # type: ignore[arg-type]  # noqa: DTZ001
                zone = part.get("z")
                return datetime.fromisoformat(f"{found.isoformat()}{zone}") if zone else found.astimezone()
    return None
