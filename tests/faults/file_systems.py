"""File systems that are small, or cannot be written, for as long as a test takes."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["mounted"]


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory at the new folder `folder`, mounted with `options`; the test is skipped where none is."""
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here: that takes Linux and root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
