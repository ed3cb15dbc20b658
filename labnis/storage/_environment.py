"""The software of a run: commit, package versions, Python, host."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

__all__ = ["Environment", "collect_environment"]


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
    known = [found.metadata for found in metadata.distributions()]
    return dict(sorted((about["Name"], about["Version"]) for about in known if about["Name"]))
