"""The computer that writes a run: its process, whether that still runs, and other risks for the run.

A process is identified by machine, boot, process number and start time: numbers are reused, start times are not.
The state of processes of another machine, or of a container with its own process numbers, is not known.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from labnis.storage._folder import network_filesystem

__all__ = ["HostMonitor", "Writer", "this_process", "writer_of"]

# Two readings of one process's start time differ by less (s) where the system counts in wall-clock time.
_SAME_START = 2.0
# A time server slews by less than 0.5 ms per second; a leap second, 1 s, is worth an event.
STEP_SECONDS = 0.5


@dataclass(frozen=True)
class Writer:
    """The process that writes, or wrote, a run.

    Attributes
    ----------
    host
        Machine: its name and, where there is one, its machine id, as clones share names.
    boot
        Identity of the machine's boot and of the set of process numbers; empty where the system has none.
    started
        When the process started: clock ticks since boot on Linux, else seconds since 1970.

    """

    pid: int
    host: str
    boot: str
    started: float

    def as_attributes(self) -> dict[str, Any]:
        """Attributes of a run's root."""
        names = ("writer_pid", "writer_host", "writer_boot", "writer_started")
        return dict(zip(names, (self.pid, self.host, self.boot, self.started), strict=True))

    @property
    def is_dead(self) -> bool:
        """Whether it has certainly ended; False if that is not known."""
        if self.host != _host():
            return False
        boot, _, numbers = self.boot.partition(" ")
        boot_now, _, numbers_now = _boot().partition(" ")
        if boot != boot_now:
            return bool(boot and boot_now)
        return numbers == numbers_now and not self._is_running()

    def _is_running(self) -> bool:
        try:
            started, state = _started(self.pid)
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            return False
        except (psutil.AccessDenied, PermissionError):
            return True
        return abs(started - self.started) < (1 if sys.platform == "linux" else _SAME_START) and state != "Z"

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host.partition(' ')[0]}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _host() -> str:
    return f"{platform.node()} {_read('/etc/machine-id')}".strip()


def _boot() -> str:
    boot = _read("/proc/sys/kernel/random/boot_id")
    return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}" if boot else ""  # noqa: PTH116  # not a file


def _started(pid: int) -> tuple[float, str]:
    """Start time of a process, and its state ("Z": it has ended, and its parent has not collected it yet)."""
    if sys.platform == "linux":
        # The name in the second field may contain blanks and brackets.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return float(fields[19]), fields[0]
    process = psutil.Process(pid)
    return process.create_time(), "Z" if process.status() == psutil.STATUS_ZOMBIE else ""


def this_process() -> Writer:
    """The calling process."""
    return Writer(os.getpid(), _host(), _boot(), _started(os.getpid())[0])


def writer_of(attributes: Mapping[str, Any]) -> Writer | None:
    """Writer named by a run's attributes; None in files of version 1, which do not name it."""
    if "writer_pid" not in attributes:
        return None
    pid, host, boot, started = (attributes[f"writer_{name}"] for name in ("pid", "host", "boot", "started"))
    return Writer(int(pid), str(host), str(boot), float(started))


class HostMonitor:
    """Detects risks for the run at `path`: a network folder, a step of the wall clock, the loss of the journal.

    It reports events: kind, message and details by name. The network folder is reported at once.
    """

    def __init__(self, path: Path, report: Callable[..., None]) -> None:
        self._report = report
        self._clocks = time.time() - time.monotonic()
        self._rescue: Path | None = None
        if kind := network_filesystem(path):
            message = (
                f"the data folder lies on a network file system ({kind}): whether rows are safe within a second, also "
                "from a power cut, depends on its server; a local data folder is safer"
            )
            report("warning", message, filesystem=kind)

    def check(self, rescue: Path | None) -> None:
        """Report changes since the last call; `rescue` is the folder of the rescue copy, if there is one."""
        # Setting the time does not move the monotonic clock.
        clocks = time.time() - time.monotonic()
        step, self._clocks = clocks - self._clocks, clocks
        if abs(step) >= STEP_SECONDS:
            message = (
                f"the wall clock moved by {step:+.1f} s against the monotonic one: it was set, or the computer slept"
            )
            self._report("clock-step", message, seconds=step)
        if rescue is not None and self._rescue is None:
            self._rescue = rescue
            self._report("warning", f"the run's journal was lost; it continues as a copy in {rescue}")
