"""What describes a run: procedure, wiring and instruments, its software, and the process that writes it.

A process is identified by machine, boot, process number and start time: numbers are reused, start times are not.
The state of processes of another machine, or of a container with its own process numbers, is not known.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from labnis.storage._attributes import SCHEMA_VERSION, WRITER, json_text, to_attribute
from labnis.storage.errors import LayoutError

__all__ = [
    "Environment", "RunMetadata", "Writer", "checked_tags", "collect_environment", "new_run_id", "resume_differences",
    "this_process", "to_attributes", "writer_of",
]  # fmt: skip

# Keys of the station file's `labnis` section without effect on the device: folders and the twin.
_IRRELEVANT = ("data", "ledger", "twin", "visalib")
_LONGEST_STATION = 1 << 20
_DEEPEST_STATION = 50
# Two readings of one process's start time differ by less (s) where the system counts in wall-clock time.
_SAME_START = 2.0


@dataclass(frozen=True)
class Environment:
    """The software of a run.

    Attributes
    ----------
    git_commit
        Commit of the checkout labnis runs from, or "unknown".
    git_dirty
        Whether that checkout had uncommitted changes; None if unknown.
    git_note
        Why the commit is unknown; empty otherwise.
    packages
        Version of every installed distribution.

    """

    git_commit: str
    git_dirty: bool | None
    git_note: str
    packages: Mapping[str, str]
    python: str
    platform: str
    host: str


def _git(folder: Path, *arguments: str) -> str:
    """Run one git command in `folder` and return its standard output."""
    program = shutil.which("git")
    if program is None:
        raise FileNotFoundError("git is not installed")
    # A git hook sets GIT_DIR and others for another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    # Fixed program and arguments, no shell; and no program that the repository's own configuration names.
    command = [program, "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True, env=environment)  # noqa: S603
    return answer.stdout.strip()


def _git_state(file: Path) -> tuple[str, bool | None, str]:
    """Commit, dirty flag and note of the checkout that `file` belongs to."""
    try:
        # A virtual environment may lie inside another repository: only a file that it tracks identifies ours.
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        return _git(file.parent, "rev-parse", "HEAD"), _git(file.parent, "status", "--porcelain") != "", ""
    except (OSError, subprocess.SubprocessError) as error:
        answer = str(getattr(error, "stderr", None) or error).strip()
        return "unknown", None, f"{file.parent} is not a git checkout of labnis: {answer}"


def collect_environment(file: Path | None = None) -> Environment:
    """Look up the software of this process; takes about 0.1 s.

    Parameters
    ----------
    file
        A file of the checkout; by default labnis's own `__init__.py`.

    """
    commit, dirty, note = _git_state((file or Path(__file__).parents[1] / "__init__.py").resolve())
    names = (platform.python_version(), platform.platform(), platform.node())
    return Environment(commit, dirty, note, dict(_packages()), *names)


@cache  # what a process has imported stays as it was, whatever is installed meanwhile
def _packages() -> Mapping[str, str]:
    """Name → version of every installed package, sorted."""
    # Once for each: `name` and `version` of a distribution read its whole file anew. A broken one has no name.
    known = [found.metadata for found in importlib.metadata.distributions()]
    return dict(sorted((about["Name"], about["Version"]) for about in known if about["Name"]))


# --- the process that writes a run ------------------------------------------------------------------------------------


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
        return dict(zip(WRITER, (self.pid, self.host, self.boot, self.started), strict=True))

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
    pid, host, boot, started = (attributes[name] for name in WRITER)
    return Writer(int(pid), str(host), str(boot), float(started))


# --- the run ----------------------------------------------------------------------------------------------------------


def new_run_id() -> str:
    """Eight random hexadecimal digits."""
    return secrets.token_hex(4)


def checked_tags(tags: str | Iterable[str]) -> tuple[str, ...]:
    """`tags` as a tuple; a text is one tag.

    Raises
    ------
    LayoutError
        A tag that is empty, has several lines, or is not text.

    """
    found = (tags,) if isinstance(tags, str) else tuple(tags)
    for tag in found:
        if not isinstance(tag, str) or not tag.strip() or tag.splitlines() != [tag]:
            raise LayoutError(f"the tag {tag!r} is not allowed: a tag is text in one line, and not empty")
    return found


@dataclass(frozen=True)
class RunMetadata:
    """Metadata that are known when a run starts.

    Attributes
    ----------
    procedure, parameters
        Name and parameters of the procedure. All mappings here hold what JSON can hold, plus NumPy numbers
        and arrays, complex numbers, times, paths and dataclasses.
    start
        With UTC offset; its date and time name the file.
    environment
        From `collect_environment`.
    simulated
        Whether the instruments were the twin's.
    wiring
        Divider, series resistance and the like, by name.
    station_snapshot, station_text
        State of the instruments, and the text of the station file.
    cooldown
        Name of the cooldown, as given by the user; empty if there is none.
    calibrations
        Fits of earlier runs that this one used: analysis (`fit`), its name in the file of that (`version`), `run` and
        `run_id`.
    seed, truth_text
        Seed and truth file of the twin; None for a real fridge.
    instruments
        Identity of each instrument by role or name, such as its answer to `*IDN?`; compared when a run is resumed.
    procedure_class
        Dotted path of the procedure's class, by which a run is resumed; may be empty.
    tags, note
        Words to search for (see `checked_tags`), and a comment, as given by the user.
    setpoints
        Names of the columns of commanded set-points; `RunWriter` adds those of its grid.
    analyses
        Dotted paths of the analyses' classes.
    context
        Everything that a fit needs besides the data.

    """

    procedure: str
    parameters: Mapping[str, Any]
    start: datetime
    environment: Environment
    simulated: bool
    wiring: Mapping[str, Any] = field(default_factory=dict)
    station_snapshot: Mapping[str, Any] = field(default_factory=dict)
    station_text: str = ""
    cooldown: str = ""
    calibrations: Sequence[Mapping[str, Any]] = ()
    seed: int | None = None
    truth_text: str | None = None
    run_id: str = field(default_factory=new_run_id)
    instruments: Mapping[str, Any] = field(default_factory=dict)
    procedure_class: str = ""
    tags: Sequence[str] = ()
    note: str = ""
    setpoints: Sequence[str] = ()
    analyses: Sequence[str] = ()
    context: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None:
            raise LayoutError(f"start {self.start} has no UTC offset; use datetime.now().astimezone()")
        if not (self.run_id.isascii() and self.run_id.isalnum()):
            raise LayoutError(f"run id {self.run_id!r}: only letters and digits are allowed")
        checked_tags(self.tags)
        for name in ("tags", "setpoints", "analyses"):
            if isinstance(getattr(self, name), str):
                raise LayoutError(f"{name} is {getattr(self, name)!r}; a list of texts is needed")

    @property
    def configuration_hash(self) -> str:
        """SHA-256 of everything that affects the device: procedure, parameters, wiring, station file.

        Comments, order and layout of the station file do not count, nor its folders of data, ledger and twin.
        """
        parts = {name: getattr(self, name) for name in ("procedure", "parameters", "wiring")}
        parts["station"] = _station(self.station_text)
        plain = [json.loads(json_text(name, part)) for name, part in parts.items()]
        text = "\n".join(json.dumps(part, sort_keys=True, separators=(",", ":")) for part in plain)
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def to_attributes(metadata: RunMetadata) -> dict[str, Any]:
    """Attributes of the root at the start of the run; a value that is not known (None) has no attribute."""
    values: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        **{name: getattr(metadata, name) for name in metadata.__dataclass_fields__ if name != "environment"},
        **asdict(metadata.environment),
        "configuration_hash": metadata.configuration_hash,
        "status": "running",
        "reason": "",
    }
    return {key: to_attribute(key, value) for key, value in values.items() if value is not None}


def resume_differences(stored: Mapping[str, Any], now: RunMetadata) -> list[str]:
    """Every reason why a run must not be resumed with `now`, one sentence each; an empty list if there is none.

    Compared are procedure, parameters, wiring and station file (as in `configuration_hash`), the cooldown, whether
    the instruments are simulated, and the identities of those that are opened now. Tags and notes do not count.

    Parameters
    ----------
    stored
        The run's metadata, from `read_metadata`.
    now
        Metadata of a run started now.

    """
    keys = ("procedure", "cooldown", "simulated", "parameters", "wiring", "instruments")
    before = {**{key: stored[key] for key in keys}, "station file": _station(stored["station_text"])}
    # A calibration has opened the instruments of all of its steps; only those of this procedure count.
    before["instruments"] = {name: facts for name, facts in stored["instruments"].items() if name in now.instruments}
    after = {**{key: getattr(now, key) for key in keys}, "station file": _station(now.station_text)}
    return _differences("", *(json.loads(json_text("configuration", side)) for side in (before, after)))


def _station(text: str) -> Any:
    """The relevant content of a station file; its bare text where it is none."""
    try:
        if not _is_plain(text):
            return text
        found = YAML(typ="safe", pure=True).load(text)
        json_text("station file", found)
    except (YAMLError, LayoutError, ValueError):  # ValueError: a date that does not exist
        return text
    if not isinstance(found, dict) or not isinstance(found.get("labnis"), dict):
        return found
    relevant = {key: value for key, value in found["labnis"].items() if key not in _IRRELEVANT}
    return {**found, "labnis": relevant}


def _is_plain(text: str) -> bool:
    """Whether a text from a file is of the size of a station file; with aliases, its content might be of any size."""
    depth = 0
    if len(text) > _LONGEST_STATION:
        return False
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if isinstance(event, AliasEvent) or depth > _DEEPEST_STATION:
            return False
    return True


def _differences(where: str, before: Any, after: Any) -> list[str]:
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [] if before == after else [f"{where} was {before!r} and is {after!r} now"]
    found = []
    for key in sorted(before.keys() | after.keys()):
        name = f"{where}: {key}" if where else key
        if key not in after:
            found.append(f"{name} was {before[key]!r} and is not given now")
        elif key not in before:
            found.append(f"{name} is {after[key]!r} now and was not given")
        else:
            found += _differences(name, before[key], after[key])
    return found
