"""Write a VISA record: every byte to and from the instruments, with its time, one JSON object per line.

The calls of the VISA library itself are recorded, below every driver, QCoDeS's as well as pymeasure's. The readings of
the experiment's clock are recorded, too, because waiting and interlocks depend on them: with both,
`sim_instruments.visa.replay` can replace the instruments. docs/traffic.md describes the lines. Without a VISA record,
nothing here is used.
"""

import base64
import errno
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any

import pyvisa
from pyvisa import rname
from pyvisa.constants import StatusCode
from pyvisa.highlevel import VisaLibraryBase

from drivers.roles import Clock
from labnis.errors import StorageFault
from labnis.printable import sentence

__all__ = ["VisaRecord"]

logger = logging.getLogger(__name__)

NAMES = {
    "open": "open",
    "write": "out",
    "read": "in",
    "clear": "clear",
    "read_stb": "status byte",
    "assert_trigger": "trigger",
}
"""VISA function → its name in a line."""


class VisaRecord:
    """A VISA record that is being written.

    If writing fails, it ends with one warning: no run fails because of its VISA record.

    Parameters
    ----------
    path
        File to create, with its folder.
    header
        First line: what a replay needs.

    Attributes
    ----------
    path
        File of the VISA record.
    problem
        Why writing ended early; empty otherwise.

    Raises
    ------
    StorageFault
        The file cannot be created. No instrument was touched.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.problem = ""
        self._turn = threading.Lock()
        self._readings: list[float] = []
        self._names: dict[str, str] = {}
        self._taps: list[_Tap] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: the operating system has each line before the next message, even if this process is killed.
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            raise StorageFault(
                f"the VISA record {path} cannot be written: {sentence(error)} Make room or choose another data folder; "
                "no instrument was touched."
            ) from error
        self.note(header)

    def listen(self, library: VisaLibraryBase, instrument: str, address: str | None) -> None:
        """Write every call of `library` to the VISA record; calls to `address` are those of `instrument`."""
        if address is not None:
            self._names[_canonical(address)] = instrument
        if all(tap.library is not library for tap in self._taps):
            self._taps.append(_Tap(library, self.took_place))

    def watched(self, clock: Clock) -> Clock:
        """`clock`, whose readings are written to the VISA record."""
        return _WatchedClock(clock, self._keep_reading)

    def took_place(self, function: str, address: str, happened: Mapping[str, Any]) -> None:
        """Note a call of a VISA function that has returned."""
        self.note({"do": NAMES[function], "instrument": self._names.get(address, ""), "address": address, **happened})

    def note(self, line: Mapping[str, Any]) -> None:
        """Write a line, with its time and the clock's readings since the last one."""
        with self._turn:
            if self.problem:
                return
            times = {
                "time": round(time.monotonic(), 6),
                "wall": datetime.now().astimezone().isoformat(timespec="milliseconds"),
            }
            clock = {"clock": self._readings} if self._readings else {}
            data = json.dumps({**times, **line, **clock}, separators=(",", ":")).encode() + b"\n"
            self._readings = []
            try:
                _write_whole(self._file, data)
            except (OSError, ValueError) as error:  # ValueError: the file was closed during a call in another thread
                self.problem = f"writing the VISA record {self.path} ended at {times['wall']}: {error}"
                logger.warning("%s; the run continues", self.problem)

    def close(self, ended: str) -> None:
        """Stop recording; `ended` names the error that ended the command, empty after success."""
        for tap in self._taps:
            tap.undo()
        self.note({"do": "end", "ended": ended})
        with suppress(OSError):  # every line is written already
            self._file.close()

    def _keep_reading(self, now: float) -> None:
        with self._turn:
            if not self.problem:
                self._readings.append(now)


def _write_whole(file: FileIO, data: bytes) -> None:
    written = file.write(data)
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes could be written")


def _canonical(address: str) -> str:
    """`address` as PyVISA writes it: GPIB::8 is GPIB0::8::INSTR."""
    try:
        return str(rname.ResourceName.from_string(address))
    except rname.InvalidResourceName:  # an alias
        return address


class _WatchedClock:
    """A clock that reports its readings."""

    def __init__(self, clock: Clock, note: Callable[[float], None]) -> None:
        self._clock = clock
        self._note = note

    def time(self) -> float:
        """Time of the experiment (s)."""
        now = self._clock.time()
        self._note(now)
        return now

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._clock.sleep(seconds)


class _Tap:
    """The calls of one VISA library object, reported after each.

    Attributes of the object hide its functions for all users of the library; `undo` removes these attributes.
    """

    def __init__(self, library: VisaLibraryBase, report: Callable[[str, str, Mapping[str, Any]], None]) -> None:
        self.library = library
        self._report = report
        self._addresses: dict[int, str] = {}
        self._nested = threading.local()
        for function in NAMES:
            setattr(library, function, self._tapped(function, getattr(library, function)))

    def undo(self) -> None:
        for function in NAMES:
            delattr(self.library, function)

    def _tapped(self, function: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def tapped(session: int, *arguments: Any, **options: Any) -> Any:
            if getattr(self._nested, "inside", False):  # a library function that calls another one
                return original(session, *arguments, **options)
            given = next(iter((*arguments, *options.values())), b"")  # the address, or the bytes to write
            address = str(given) if function == "open" else self._addresses.get(session, "")
            sent = _data(bytes(given)) if function == "write" else {}
            self._nested.inside = True
            try:
                result = original(session, *arguments, **options)
            except (pyvisa.VisaIOError, OSError) as error:  # PyVISA-py does not convert a socket's errors
                self._report(function, address, sent | _failure(error))
                raise
            finally:
                self._nested.inside = False
            if function == "open":
                self._addresses[result[0]] = address
            self._report(function, address, sent | _outcome(function, result))
            return result

        return tapped


def _outcome(function: str, result: Any) -> dict[str, Any]:
    """Return value of a successful function: (value, status), or the status alone."""
    value, status = result if isinstance(result, tuple) else (None, result)
    outcome: dict[str, Any] = {"status": _name(status)} if status else {}  # 0 is plain success
    if function == "read":
        outcome |= _data(bytes(value))
    if function == "read_stb":
        outcome["value"] = int(value)
    return outcome


def _failure(error: pyvisa.VisaIOError | OSError) -> dict[str, Any]:
    if isinstance(error, pyvisa.VisaIOError):
        return {"failed": _name(error.error_code)}
    return {"failed": type(error).__name__, "errno": error.errno, "reason": error.strerror or str(error)}


def _name(status: int) -> str:
    """VISA's name of a status; the number if PyVISA does not define it."""
    try:
        return StatusCode(status).name
    except ValueError:
        return str(int(status))


def _data(data: bytes) -> dict[str, str]:
    """Printable ASCII unchanged, anything else in base64."""
    if data.isascii() and data.translate(None, b"\r\n\t").decode("ascii").isprintable():
        return {"text": data.decode("ascii")}
    return {"base64": base64.b64encode(data).decode("ascii")}
