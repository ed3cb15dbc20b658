"""How much room a run needs, whether the disk has it, and what kind of file system it is."""

import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from labnis.storage._columns import Column, RunLayout
from labnis.storage._journal import RESERVE_BYTES, STEP_BYTES
from labnis.storage._layout import CHUNK_BYTES
from labnis.storage.errors import DataRootError, DiskSpaceError

__all__ = ["check_free_space", "estimate_bytes", "network_filesystem"]

# Attributes, station snapshot, events, fits and HDF5's own tables.
_BASE_BYTES = 1 << 20

_NETWORK = (
    "9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "davfs", "fuse.davfs", "fuse.glusterfs", "fuse.rclone",
    "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "smb", "smb2", "smb3", "smbfs",
    "vboxsf", "webdav",
)  # fmt: skip


def estimate_bytes(columns: Iterable[Column], lengths: Mapping[str, int], rows: int) -> int:
    """Largest room (bytes) that a run takes while it goes on: HDF5 file and journal; about half remains of it.

    Parameters
    ----------
    columns
        The run's columns.
    lengths
        Number of points of each axis.
    rows
        Number of rows planned.

    """
    columns = RunLayout(columns).columns
    sizes = [c.stored.itemsize * math.prod(lengths[axis] for axis in c.axes) for c in columns]
    data = rows * sum(sizes)
    chunks = sum(max(CHUNK_BYTES, size) for size in sizes)
    return 2 * (data + _BASE_BYTES) + chunks + RESERVE_BYTES + STEP_BYTES + 2 * sum(sizes)


def check_free_space(path: Path, needed: int) -> None:
    """Make sure that the disk of `path`, which need not exist yet, has room for `needed` bytes.

    Raises
    ------
    DiskSpaceError
        It has not; names how much is missing.
    DataRootError
        The disk cannot be asked.

    """
    try:
        free = shutil.disk_usage(_existing(path)).free
    except OSError as error:
        raise DataRootError(f"data folder {path}: its disk cannot be asked for free space: {error}") from error
    if free < needed:
        raise DiskSpaceError(
            f"data folder {path}: the run needs up to {needed / 1e6:.1f} MB while it goes on, its disk has "
            f"{free / 1e6:.1f} MB left. Make room, choose another folder, or plan fewer points."
        )


def network_filesystem(path: Path) -> str:
    """Type of the network file system that `path` lies on, such as "nfs4"; empty on a local disk or if not known."""
    place = _existing(path.resolve())
    mounts = [m for m in psutil.disk_partitions(all=True) if place.is_relative_to(m.mountpoint)]
    if not mounts:
        return "network share" if str(place).startswith("\\\\") else ""
    # Of several mounted on the same folder the last hides the others.
    kind = max(enumerate(mounts), key=lambda m: (len(Path(m[1].mountpoint).parts), m[0]))[1]
    if "remote" in kind.opts.split(","):  # how Windows marks a mapped drive
        return kind.fstype or "network share"
    return kind.fstype if kind.fstype.lower() in _NETWORK else ""


def _existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    return next((place for place in (path, *path.parents) if place.exists()), Path(path.anchor or "."))
