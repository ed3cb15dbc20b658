"""One process at a time: locks on the station file and on every instrument.

All users of a machine share one folder of lock files. The lock is the operating system's (flock), so it ends with the
process that holds it; forked children do not inherit it. The file contains a note that names the holder. Any user can
write it, so it is for messages only; `process_of` asks the system whether the process in it holds the lock.
"""

import contextlib
import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import psutil  # type: ignore[import-untyped]
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from labnis.errors import BusyError, ConfigurationError
from labnis.printable import printable
from labnis.station.lock_file import lock_file, locked, opened, require_plain, shared_folder
from labnis.station.lock_names import lock_name_of_station

__all__ = ["HeldLock", "Holder", "hold", "holder_of_station", "process_of"]

LONGEST_NOTE = 4096
"""Length (bytes) beyond which a note is not read."""

ATTEMPTS = 20
"""Number of attempts to lock a file that others remove and create, or to read the note of its holder."""


def _printable(text: str) -> str:
    """`text` in one line, as it may be shown: another program wrote it."""
    return printable(text).replace("\n", "\\n")


class Holder(BaseModel):
    """The process that holds a lock, according to its note."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    pid: Annotated[int, Field(gt=1, lt=1 << 31)]
    host: Annotated[str, Field(max_length=255), AfterValidator(_printable)]
    command: Annotated[str, Field(max_length=255), AfterValidator(_printable)]
    since: Annotated[str, Field(max_length=40), AfterValidator(_printable)]

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since} ({self.command})"


class _TakenError(BusyError):
    """Another process holds a lock; `holder` is None if its note is not valid."""

    def __init__(self, name: str, file: Path, holder: Holder | None) -> None:
        self.holder = holder
        who = holder or f"an unknown process; the command `fuser {file}` shows it"
        super().__init__(f"{_printable(name)} is in use by {who}; wait until it ends or stop it")


_held: "set[HeldLock]" = set()
"""Locks of this process."""


class HeldLock:
    """A lock that this process holds; made by `hold`."""

    def __init__(self, name: str, file: Path, descriptor: int) -> None:
        self._name = name
        self._file = file
        self._descriptor: int | None = descriptor  # None after release, and in a forked child
        _held.add(self)

    def problem(self) -> str:
        """Why another process could take the lock now; empty if none can."""
        if self._descriptor is None:
            return f"the lock of {_printable(self._name)} belongs to another process"
        try:
            mine, found = os.fstat(self._descriptor), self._file.lstat()
        except OSError as error:
            return f"the lock file {self._file} of {_printable(self._name)} was removed ({error.strerror})"
        if (found.st_dev, found.st_ino) != (mine.st_dev, mine.st_ino):
            return f"the lock file {self._file} of {_printable(self._name)} was replaced"
        if os.utime in os.supports_fd:
            with contextlib.suppress(OSError):
                os.utime(self._descriptor)  # some systems remove files of /tmp that have not changed for days
        return ""

    def write_note(self) -> None:
        """Write who holds the lock, for messages of other processes."""
        # A database URL on the command line may contain a password; all users can read the note.
        words = [Path(sys.argv[0]).name, *(re.sub("(?s)://.*", "://***", word) for word in sys.argv[1:])]
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        note = {
            "pid": os.getpid(),
            "host": socket.gethostname()[:255],
            "command": " ".join(words)[:255],
            "since": since,
        }
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, json.dumps(note).encode("ascii", "replace"))

    def release(self) -> None:
        """End the lock and remove its file; a file of another user stays, and becomes empty."""
        if self._descriptor is None:
            return
        if not self.problem():  # while it is held: a process that opened it before finds it gone, and tries again
            try:
                self._file.unlink()
            except OSError:
                with contextlib.suppress(OSError):  # the note is for messages only
                    os.ftruncate(self._descriptor, 0)
        self.close()

    def close(self) -> None:
        """Close the file without any change of it, which ends the lock if no other process has it open."""
        _held.discard(self)
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _disinherit() -> None:
    """In a forked child: close the files, so that the locks end with the parent."""
    for lock in list(_held):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disinherit)


def holder_of_station(path: Path, folder: Path | None = None) -> Holder | None:
    """The process that holds the station file at `path` now, according to its note; None if there is none.

    Raises
    ------
    BusyError
        A process holds it, but its note is not valid.

    """
    try:
        _acquired(lock_name_of_station(path), folder or shared_folder()).release()
    except _TakenError as error:
        if error.holder is None:
            raise
        return error.holder
    return None


def process_of(holder: Holder, path: Path, folder: Path | None = None) -> psutil.Process | None:
    """The process that `holder` names, if the system confirms that it holds the lock of the station file at `path`.

    None also if that cannot be found out, as for processes of other users, and for this process.
    """
    file = lock_file(lock_name_of_station(path), folder or shared_folder())
    return None if holder.pid == os.getpid() else _process_with_lock(holder.pid, file)


def _process_with_lock(pid: int, file: Path) -> psutil.Process | None:
    """The process `pid` if it holds the lock on `file`: has it open and, as Linux shows, locked."""
    try:
        process = psutil.Process(pid)
        opened_by_it = [each for each in process.open_files() if os.path.normcase(each.path) == os.path.normcase(file)]
        return process if any(_is_locked_by(pid, each.fd) for each in opened_by_it) else None
    except (psutil.Error, OSError):
        return None


def _is_locked_by(pid: int, descriptor: int) -> bool:
    """Whether `pid` holds an exclusive lock by this descriptor; True on systems that do not show it."""
    if sys.platform != "linux":
        return True
    shown = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text(encoding="ascii")
    return re.search(r"^lock:.* FLOCK .* WRITE ", shown, re.MULTILINE) is not None


@contextlib.contextmanager
def hold(
    names: Iterable[str], folder: Path | None = None, *, of_run: int | None = None
) -> Iterator[dict[str, HeldLock]]:
    """Hold the locks called `names` during the context, all or none.

    Parameters
    ----------
    names
        From `labnis.station.lock_names`. Taken in sorted order, so that of two processes with overlapping sets one
        always gets all of its locks.
    folder
        Folder of the lock files; by default the one that all users of this machine share.
    of_run
        Process whose locks do not count, because this one acts for it: the run that it guards, which does not respond.

    Yields
    ------
    dict
        Name → lock; without those that `of_run` holds.

    Raises
    ------
    BusyError
        Another process holds one of them; the message names it. Never waits for it.
    ConfigurationError
        The lock files cannot be used.

    """
    place = folder or shared_folder()
    with contextlib.ExitStack() as stack:
        held = {}
        for name in sorted(set(names)):
            try:
                held[name] = _acquired(name, place)
            except BusyError:
                if of_run is None or _process_with_lock(of_run, lock_file(name, place)) is None:
                    raise
            else:
                stack.callback(held[name].release)
        yield held


def _acquired(name: str, folder: Path) -> HeldLock:
    file = lock_file(name, folder)
    try:
        for _ in range(ATTEMPTS):
            lock = _attempted(name, file)
            if not lock.problem():
                lock.write_note()
                return lock
            lock.close()  # its former holder has removed the file
    except OSError as error:
        raise ConfigurationError(
            f"{file}: the lock of {_printable(name)} cannot be used: {error.strerror or error}; without it two "
            "programs could control one instrument. If no measurement is running, its owner or an administrator can "
            "remove the file."
        ) from error
    raise _TakenError(name, file, None)


def _attempted(name: str, file: Path) -> HeldLock:
    """The lock on whatever is at `file` now.

    Raises
    ------
    BusyError
        Another process holds it.
    OSError
        It is no regular file, or not accessible.

    """
    with contextlib.ExitStack() as failed:
        descriptor = opened(file)
        failed.callback(os.close, descriptor)
        require_plain(descriptor)
        if not locked(descriptor):
            raise _TakenError(name, file, _noted(descriptor))
        failed.pop_all()
    return HeldLock(name, file, descriptor)


def _noted(descriptor: int) -> Holder | None:
    """The holder according to its note; a process that just took the lock has a moment to write it."""
    for _ in range(ATTEMPTS):
        os.lseek(descriptor, 0, os.SEEK_SET)
        text = os.read(descriptor, LONGEST_NOTE + 1)
        if text:
            with contextlib.suppress(ValidationError):
                return Holder.model_validate_json(text) if len(text) <= LONGEST_NOTE else None
        time.sleep(0.01)
    return None
