"""Where runs lie on the disk: `<data>/<cooldown>/<YYYY-MM-DD>/<HHMMSS>-<procedure>-<id>.h5`."""

import hashlib
import re
import secrets
import tempfile
import unicodedata
from datetime import datetime
from pathlib import Path

from labnis.storage.errors import DataRootError, RunFileError

__all__ = ["check_data_root", "new_run_id", "run_id_of", "run_path", "slug"]

# Names that Windows keeps for devices, with or without an extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


def slug(text: str) -> str:
    """Make a file name of any text: at most 64 of A–Z a–z 0–9 . _ -, never empty, a path or a device name."""
    ascii_text = unicodedata.normalize("NFKD", text[:1000]).encode("ascii", "ignore").decode("ascii")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_text)
    name = re.sub(r"\.{2,}", ".", name).strip("-.")[:64].strip("-.")
    if not name or _RESERVED.match(name):
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        name = f"name-{digest}"
    return name


def new_run_id() -> str:
    """Eight random hexadecimal digits."""
    return secrets.token_hex(4)


def run_path(data_root: Path, *, cooldown: str, procedure: str, start: datetime, run_id: str) -> Path:
    """Path of a run's file; date and time are those of `start` in its own time zone.

    Raises
    ------
    RunFileError
        Where a link would lead the file out of the data folder.

    """
    root = data_root.resolve()
    folder = root / slug(cooldown or "no-cooldown") / f"{start:%Y-%m-%d}"
    path = (folder / f"{start:%H%M%S}-{slug(procedure)}-{slug(run_id)}.h5").resolve()
    if not path.is_relative_to(root):
        raise RunFileError(f"{path}: lies outside the data folder {root}; remove the link that leads there")
    return path


def run_id_of(path: Path) -> str:
    """Read the run id off a file name, so that a file that cannot be opened still has one."""
    return path.stem.rpartition("-")[2]


def check_data_root(path: Path) -> Path:
    """Make sure that runs can be written to `path` and return it resolved; call it before anything starts.

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
            f"data folder {path}: runs cannot be written there: {error}. "
            "Choose another folder, or create it and give yourself the right to write to it."
        ) from error
    return path.resolve()
