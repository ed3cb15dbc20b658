"""Which process writes a run, and whether it surely lives no more.

A process is known by machine, boot, process number and the moment it started: numbers are used again, moments are
not. Of another machine, or of a container with process numbers of its own, nothing can be said from here.
"""

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

__all__ = ["Writer", "this_process", "writer_of"]

# Moments of start from two looks at one process differ by less (s) where the system counts in wall-clock time.
_SAME_START = 2.0


@dataclass(frozen=True)
class Writer:
    """The process that writes, or wrote, a run.

    Attributes
    ----------
    host
        Machine: its name and, where there is one, its machine id, as clones share names.
    boot
        Which boot of the machine, and which set of process numbers; empty where the system does not tell.
    started
        When the process started: clock ticks since boot on Linux, else seconds since 1970.

    """

    pid: int
    host: str
    boot: str
    started: float

    def as_attributes(self) -> dict[str, Any]:
        """Attributes of a run's root."""
        return {
            "writer_pid": self.pid,
            "writer_host": self.host,
            "writer_boot": self.boot,
            "writer_started": self.started,
        }

    @property
    def is_dead(self) -> bool:
        """Whether it surely is no more; False also where nothing can be known."""
        if self.host != _host():
            return False
        boot, _, numbers = self.boot.partition(" ")
        boot_now, _, numbers_now = _boot().partition(" ")
        if boot != boot_now:
            return bool(boot and boot_now)
        return numbers == numbers_now and not self._runs()

    def _runs(self) -> bool:
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
    """When the process started, and its state ("Z" is a dead one whose parent has not looked yet)."""
    if sys.platform == "linux":
        # The name in the second field may hold blanks and brackets itself.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return float(fields[19]), fields[0]
    process = psutil.Process(pid)
    return process.create_time(), "Z" if process.status() == psutil.STATUS_ZOMBIE else ""


def this_process() -> Writer:
    """The process that asks."""
    return Writer(os.getpid(), _host(), _boot(), _started(os.getpid())[0])


def writer_of(attributes: Mapping[str, Any]) -> Writer | None:
    """Writer that a run's attributes name; None in files of the first version, which do not name it."""
    if "writer_pid" not in attributes:
        return None
    return Writer(
        int(attributes["writer_pid"]),
        str(attributes["writer_host"]),
        str(attributes["writer_boot"]),
        float(attributes["writer_started"]),
    )
