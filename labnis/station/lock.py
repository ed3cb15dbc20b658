"""One process at a time: locks on the station file and on every instrument address.

The lock is the operating system's (by filelock), so it ends with the process that holds it. Beside each lock file is a
note that names the holder; it is for messages only.
"""

import contextlib
import hashlib
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from labnis.errors import BusyError, ConfigurationError

__all__ = ["Holder", "hold", "holder_of_station", "lock_name_of_address", "lock_name_of_station"]


def lock_name_of_station(path: Path) -> str:
    """Name under which the station file at `path` is locked: the same for every form of its path."""
    return f"station {os.path.normcase(path.resolve())}"


def lock_name_of_address(address: str) -> str:
    """Name under which an instrument is locked: the same for every form of its VISA address.

    Notes
    -----
    Two addresses of one instrument on two buses (GPIB and LAN) cannot be recognised as one.

    """
    # Commands that open no instrument start without PyVISA.
    from pyvisa.rname import InvalidResourceName, to_canonical_name  # noqa: PLC0415

    with contextlib.suppress(InvalidResourceName):  # an alias or another kind of address is used unchanged
        address = to_canonical_name(address.upper())
    return f"instrument {address.upper()}"


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock, according to its note."""

    pid: int
    host: str
    command: str
    since: str

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine."""
        return self.host == socket.gethostname()


def holder_of_station(path: Path, folder: Path | None = None) -> Holder | None:
    """The process that holds the station file at `path` now; None if there is none.

    Raises
    ------
    BusyError
        A process holds it, but its note cannot be read.

    """
    place = _shared_folder() if folder is None else folder
    name = lock_name_of_station(path)
    try:
        with _hold_one(name, place):
            return None
    except BusyError:
        note = _note_file(name, place)
        try:
            return _noted(note)
        except (OSError, ValueError, TypeError) as error:
            raise BusyError(_busy(name, note)) from error


@contextlib.contextmanager
def hold(names: Iterable[str], folder: Path | None = None) -> Iterator[None]:
    """Hold the locks called `names` during the context, all or none.

    Parameters
    ----------
    names
        From `lock_name_of_station` and `lock_name_of_address`. Taken in sorted order, so that of two processes with
        overlapping sets one always gets all of its locks.
    folder
        Folder of the lock files; by default one folder for all users in the machine's temporary folder.

    Raises
    ------
    BusyError
        Another process holds one of them; the message names it. Never waits for it.
    ConfigurationError
        The lock files cannot be used.

    """
    place = _shared_folder() if folder is None else folder
    with contextlib.ExitStack() as stack:
        for name in sorted(set(names)):
            stack.enter_context(_hold_one(name, place))
        yield


@contextlib.contextmanager
def _hold_one(name: str, folder: Path) -> Iterator[None]:
    note = _note_file(name, folder)
    # 0666: on a lab machine other users must be able to take the same lock file later.
    lock = FileLock(note.with_suffix(".lock"), mode=0o666, thread_local=False)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BusyError(_busy(name, note)) from error
    except OSError as error:
        raise ConfigurationError(
            f"{lock.lock_file}: the lock of {name} cannot be used: {error.strerror or error}; "
            "without it two programs could control one instrument. Make the file writable, or remove it if "
            "no measurement is running."
        ) from error
    try:
        _write_note(name, note)
        yield
    finally:
        try:
            _clear_note(note)
        finally:
            lock.release()


def _note_file(name: str, folder: Path) -> Path:
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", name)[-60:].strip("-")
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return folder / f"{readable}-{digest}.json"


def _shared_folder() -> Path:
    folder = Path(tempfile.gettempdir()) / "labnis-locks"
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)  # everyone may lock, only the owner may remove a file
    return folder


def _write_note(name: str, note: Path) -> None:
    # A database URL on the command line may contain a password; all users can read the note.
    command = re.sub(r"://[^/@\s]*@", "://***@", " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]))
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    holder = Holder(os.getpid(), socket.gethostname(), command, since)
    try:
        # In place, not by rename: in a shared folder the file may belong to another user.
        note.write_text(json.dumps(asdict(holder)), encoding="utf-8")
        with contextlib.suppress(PermissionError):  # it is another user's, who has set the mode
            note.chmod(0o666)
    except OSError as error:
        raise ConfigurationError(
            f"{note}: cannot write the holder of {name}: {error.strerror}; make the file writable"
        ) from error


def _noted(note: Path) -> Holder:
    return Holder(**json.loads(note.read_text(encoding="utf-8")))


def _clear_note(note: Path) -> None:
    """Empty the note, so that no process reads an old name."""
    with contextlib.suppress(OSError):  # the folder may have been removed; the lock itself still ends
        note.write_text("", encoding="utf-8")


def _busy(name: str, note: Path) -> str:
    """Sentence on the holder of `name`; a process that just took the lock has a moment to write its note."""
    for _ in range(20):
        with contextlib.suppress(OSError, ValueError, TypeError):
            holder = _noted(note)
            return (
                f"{name} is in use by process {holder.pid} on {holder.host} since {holder.since} ({holder.command}); "
                "wait until it ends or stop it"
            )
        time.sleep(0.01)
    return f"{name} is in use by an unknown process ({note}); wait until it ends"
