"""The data folder: paths of runs, `<data>/<cooldown>/<YYYY-MM-DD>/<HHMMSS>-<procedure>-<id>.h5`, and free space."""

import hashlib
import math
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from labnis.storage._columns import Column, RunLayout
from labnis.storage._hdf5 import CHUNK_BYTES
from labnis.storage._journal import RESERVE_BYTES, STEP_BYTES
from labnis.storage.errors import DataRootError, DiskSpaceError, RunFileError

__all__ = [
    "check_data_root", "check_free_space", "estimate_bytes", "network_filesystem", "run_files", "run_id_of", "run_path",
    "slug",
]  # fmt: skip

# Names that Windows reserves for devices, with or without an extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)

# Attributes, station snapshot, events, fits and HDF5's own tables.
_BASE_BYTES = 1 << 20

_NETWORK = (
    "9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.davfs", "fuse.glusterfs", "fuse.rclone",
    "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb", "smb2", "smb3", "smbfs",
    "vboxsf", "webdav",
)  # fmt: skip


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
            f"data folder {path}: runs cannot be written there: {error}. "
            "Choose another folder, or create it and give yourself the right to write to it."
        ) from error
    return path.resolve()


def estimate_bytes(columns: Iterable[Column], lengths: Mapping[str, int], rows: int) -> int:
    """Largest size (bytes) of a run while it is measured: HDF5 file and journal; about half remains afterwards.

    Parameters
    ----------
    columns
        The run's columns.
    lengths
        Number of points of each axis.
    rows
        Number of planned rows.

    """
    columns = RunLayout(columns).columns
    sizes = [c.stored.itemsize * math.prod(lengths[axis] for axis in c.axes) for c in columns]
    data = rows * sum(sizes)
    chunks = sum(max(CHUNK_BYTES, size) for size in sizes)
    return 2 * (data + _BASE_BYTES) + chunks + RESERVE_BYTES + STEP_BYTES + 2 * sum(sizes)


def check_free_space(path: Path, needed: int) -> None:
    """Check that the disk of `path`, which need not exist yet, has room for `needed` bytes.

    Raises
    ------
    DiskSpaceError
        It has no room; the message has needed and free space.
    DataRootError
        The free space cannot be determined.

    """
    try:
        free = shutil.disk_usage(_existing(path)).free
    except OSError as error:
        raise DataRootError(f"data folder {path}: the free space of its disk is not known: {error}") from error
    if free < needed:
        raise DiskSpaceError(
            f"data folder {path}: the run needs up to {needed / 1e6:.1f} MB while it is measured, its disk has "
            f"{free / 1e6:.1f} MB left. Make room, choose another folder, or plan fewer points."
        )


def network_filesystem(path: Path) -> str:
    """Type of the network file system that holds `path`, such as "nfs4"; empty on a local disk or if not known."""
    place = _existing(path.resolve())
    mounts = [m for m in psutil.disk_partitions(all=True) if place.is_relative_to(m.mountpoint)]
    if not mounts:
        return "network share" if str(place).startswith("\\\\") else ""
    # Of several mounts of the same folder the last hides the others.
    kind = max(enumerate(mounts), key=lambda m: (len(Path(m[1].mountpoint).parts), m[0]))[1]
    if "remote" in kind.opts.split(","):  # Windows marks a mapped drive like this
        return kind.fstype or "network share"
    return kind.fstype if kind.fstype.lower() in _NETWORK else ""


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    return next((place for place in (path, *path.parents) if place.exists()), Path(path.anchor or "."))
