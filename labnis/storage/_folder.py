"""The data folder: `<data>/<cooldown>/<YYYY-MM-DD>/<HHMMSS>-<procedure>-<id>.h5`, and the order and list of its runs.

The order is a counter, because the wall clock may be set back. The last number is the name of a file in
`<data>/.order`, made exclusively, which also works on network folders and on Windows. A file holds the start of its
run, so that the next run can tell that the clock went back.
"""

import contextlib
import hashlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labnis.printable import sentence
from labnis.storage import _disk
from labnis.storage._attributes import checked_time
from labnis.storage._metadata import writer_of
from labnis.storage._reading import metadata_and_damage
from labnis.storage.errors import DataRootError, RunFileError, RunNotFoundError

__all__ = [
    "RunSummary",
    "check_data_root",
    "find_run",
    "list_runs",
    "run_files",
    "run_id_of",
    "run_order",
    "run_path",
    "run_summary",
    "slug",
    "take_number",
    "unreadable_runs",
]

# Names that Windows reserves for devices, with or without an extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
_NAME = re.compile(r"\d{9,15}")
_ATTEMPTS = 1000


def slug(text: str) -> str:
    """Make a file name of any text: at most 64 of A–Z a–z 0–9 . _ -, never empty, a path or a device name."""
    ascii_text = unicodedata.normalize("NFKD", text[:1000]).encode("ascii", "ignore").decode("ascii")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_text)
    name = re.sub(r"\.{2,}", ".", name).strip("-.")[:64].strip("-.")
    if not name or _RESERVED.match(name):
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = f"name-{digest}"
    return name


def run_path(data_root: Path, *, cooldown: str, procedure: str, start: datetime, run_id: str) -> Path:
    """Path of a run's file; date and time are those of `start` in its own time zone.

    Raises
    ------
    RunFileError
        A link leads out of the data folder.

    """
    root = data_root.resolve()
    folder = root / slug(cooldown or "no-cooldown") / f"{start:%Y-%m-%d}"
    path = (folder / f"{start:%H%M%S}-{slug(procedure)}-{slug(run_id)}.h5").resolve()
    if not path.is_relative_to(root):
        raise RunFileError(f"{path}: lies outside the data folder {root}; remove the link that leads there")
    return path


def run_id_of(path: Path) -> str:
    """Run id in a file name, also of a file that cannot be opened."""
    return path.stem.rpartition("-")[2]


def run_files(data_root: Path) -> list[Path]:
    """Paths of all runs below `data_root`, including those of which only a journal exists.

    Raises
    ------
    DataRootError
        There is no such folder.

    """
    if not data_root.is_dir():
        raise DataRootError(f"data folder {data_root}: there is no such folder")
    journals = (path.with_name(path.name.removesuffix(".journal")) for path in data_root.glob("*/*/*.h5.journal"))
    return sorted({*data_root.glob("*/*/*.h5"), *journals})


def check_data_root(path: Path) -> Path:
    """Check that runs can be written to `path`, creating it if needed; return it resolved.

    Raises
    ------
    DataRootError
        It cannot be created, is not a folder or cannot be written to.

    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"labnis")
    except (OSError, ValueError) as error:
        raise DataRootError(
            f"data folder {path}: runs cannot be written there: {sentence(error)} "
            "Choose another folder, or create it and give yourself the right to write to it."
        ) from error
    return path.resolve()


# --- the list of runs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs. Of a file that cannot be read, only path, id and reason are known.

    Attributes
    ----------
    status
        running, done, aborted, failed, "interrupted" (its process died and left it running), or "unreadable".
    reason
        Reason of the status.
    tags, note
        Given by the user.
    number
        Position in the order of the runs of its data folder, which does not depend on the clock; None in runs of
        earlier versions.

    """

    path: Path
    run_id: str
    procedure: str
    cooldown: str
    start: datetime | None
    status: str
    reason: str
    rows: int
    simulated: bool | None
    tags: tuple[str, ...] = ()
    note: str = ""
    number: int | None = None


def list_runs(data_root: Path, *, tags: Iterable[str] = ()) -> list[RunSummary]:
    """List the runs below `data_root`, oldest first; those that cannot be read come last, with the reason.

    The order is that in which they were begun, whatever the clock showed; runs of earlier versions come first, by
    their start.

    Parameters
    ----------
    data_root
        Folder of all runs.
    tags
        Only runs that have all of them.

    Raises
    ------
    DataRootError
        There is no such folder.

    """
    wanted = set(tags)
    summaries = [run for run in map(run_summary, run_files(data_root)) if wanted <= set(run.tags)]
    return sorted(summaries, key=run_order)


def unreadable_runs(found: Iterable[RunSummary], data_root: Path, cooldown: str) -> list[RunSummary]:
    """Of the runs `found` by `list_runs` those in the folder of a cooldown that cannot be read, and may be its."""
    folder = data_root.resolve() / slug(cooldown or "no-cooldown")
    return [run for run in found if run.start is None and run.path.resolve().is_relative_to(folder)]


def run_order(run: RunSummary) -> tuple[bool, int, float]:
    """Sorts runs by their begin; those that cannot be read come last."""
    return run.start is None, run.number or 0, run.start.timestamp() if run.start else 0.0


def run_summary(path: Path, known: Mapping[str, Any] | None = None) -> RunSummary:
    """One line of a list of runs, by the metadata that are `known`, or else those in the file at `path`."""
    try:
        found = _known_metadata(path) if known is None else known
        names = ("run_id", "procedure", "cooldown", "start", "status", "reason", "rows", "simulated", "note", "number")
        return RunSummary(path, tags=tuple(found["tags"]), **{name: found[name] for name in names})
    except RunFileError as error:
        return RunSummary(path, run_id_of(path), "", "", None, "unreadable", str(error), 0, None)


def _known_metadata(path: Path) -> dict[str, Any]:
    """Metadata and `rows`, with the status "interrupted" where the run's process died."""
    found, damage = metadata_and_damage(path)
    writer = writer_of(found)
    if found["status"] == "running" and writer is not None and writer.is_dead:
        damaged = f", and its journal is damaged ({damage})" if damage else ""
        reason = f"{writer}, which wrote it, has ended{damaged}; `labnis recover {path}` closes the run"
        return found | {"status": "interrupted", "reason": reason}
    return found


def find_run(data_root: Path, text: str) -> Path:
    """Find the file of the run that `text` names: a path (`~` is expanded), an id, or the beginning of exactly one id.

    Raises
    ------
    RunNotFoundError
        No run, or several; lists the candidates.

    """
    if os.sep in text or text.startswith("~") or text.endswith(".h5"):
        given = _expanded(text)
        below = [path for path in run_files(data_root) if path.name == text] if data_root.is_dir() else []
        for path in (given, data_root / given, *below):
            with contextlib.suppress(OSError):  # a name may be too long for the disk
                if path.is_file():
                    return path
        raise RunNotFoundError(f"{text}: no such file, neither here nor below {data_root}")
    files = run_files(data_root)
    exact = [path for path in files if run_id_of(path) == text]
    found = exact or [path for path in files if text and run_id_of(path).startswith(text)]
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} runs have an id beginning with {text!r}" if found else f"no run has the id {text!r}"
    listed = found or [run.path for run in list_runs(data_root) if run.start is not None][-5:]  # the newest
    candidates = "".join(f"\n  {run_id_of(path)}  {path}" for path in listed)
    raise RunNotFoundError(f"{problem} in {data_root}; candidates:{candidates or ' none'}")


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # the user after ~ does not exist
        raise RunNotFoundError(f"{text}: {error}") from error


# --- the order of runs ------------------------------------------------------------------------------------------------


def take_number(data_root: Path, start: datetime) -> tuple[int, datetime | None]:
    """Take the next number for a run that begins at `start`.

    Returns
    -------
    number, before
        Greater than that of every run in the folder; start of the run before this one, None if that is not known.

    Raises
    ------
    RunFileError
        The counter cannot be written.

    """
    folder = data_root / ".order"
    try:
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            folder.chmod(data_root.stat().st_mode & 0o7777)  # who may write runs may count them
        for _ in range(_ATTEMPTS):
            last, before = _last(folder) or _last_of_files(data_root)
            path = folder / f"{last + 1:09d}"
            try:
                path.open("x", encoding="ascii").close()
            except FileExistsError:  # another process was faster
                continue
            # The file of a number goes only after a greater one is there, so no number is taken twice.
            if (_last(folder) or (0, None))[0] == last + 1:
                # Not made again where the run after this one was faster, and has removed it.
                with contextlib.suppress(FileNotFoundError), path.open("r+", encoding="ascii") as file:
                    file.write(start.isoformat())
                _remove_others(folder, path)
                return last + 1, before
            path.unlink(missing_ok=True)
    except OSError as error:
        raise _disk.failed(f"{folder}: the number of the run cannot be written", error) from error
    raise RunFileError(
        f"{folder}: no number could be taken in {_ATTEMPTS} attempts. Remove the folder, then try again."
    )


def _last(folder: Path) -> tuple[int, datetime | None] | None:
    """The last number that was taken, and the start of its run; None if the folder is new."""
    paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    if not paths:
        return None
    path = max(paths, key=lambda one: int(one.name))
    try:
        return int(path.name), checked_time(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # another process is just writing or removing it
        return int(path.name), None


def _last_of_files(data_root: Path) -> tuple[int, datetime | None]:
    """As `_last`, by the runs themselves: after the first start of this version, or where the counter was removed."""
    known = [run for run in list_runs(data_root) if run.start is not None]
    return (known[-1].number or 0, known[-1].start) if known else (0, None)


def _remove_others(folder: Path, path: Path) -> None:
    for other in folder.iterdir():
        if _NAME.fullmatch(other.name) and int(other.name) < int(path.name):
            other.unlink(missing_ok=True)
