"""With what software a run was taken: commit, package versions, Python, host."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["Environment", "collect_environment"]


@dataclass(frozen=True)
class Environment:
    """The software a run was taken with.

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


class _NoAnswerError(Exception):
    """Git gave no answer; says why."""


def _git(folder: Path, *arguments: str) -> str:
    """Run one git command in `folder` and return its standard output."""
    program = shutil.which("git")
    if program is None:
        raise _NoAnswerError("git is not installed")
    # A git hook sets GIT_DIR and its like for another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(  # noqa: S603  # fixed program and arguments, no shell
            [program, "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            env=environment,
        )
    except subprocess.CalledProcessError as error:
        raise _NoAnswerError(str(error.stderr).strip() or f"git ended with {error.returncode}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _NoAnswerError(str(error)) from error
    return answer.stdout.strip()


def _git_state(file: Path) -> tuple[str, bool | None, str]:
    """Commit, dirty flag and note of the checkout that `file` belongs to."""
    try:
        # A virtual environment may lie inside somebody else's repository: only a tracked file tells ours.
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        return _git(file.parent, "rev-parse", "HEAD"), _git(file.parent, "status", "--porcelain") != "", ""
    except _NoAnswerError as error:
        return "unknown", None, f"{file.parent} is not a git checkout of labnis: {error}"


def collect_environment(file: Path | None = None) -> Environment:
    """Look up the software of this process; takes about 0.1 s.

    Parameters
    ----------
    file
        A file of the checkout asked about; labnis's own `__init__.py` by default.

    """
    commit, dirty, note = _git_state((file or Path(__file__).parents[1] / "__init__.py").resolve())
    # A broken distribution has no name.
    packages = {found.name: found.version for found in metadata.distributions() if found.name}
    return Environment(
        git_commit=commit,
        git_dirty=dirty,
        git_note=note,
        packages=dict(sorted(packages.items())),
        python=platform.python_version(),
        platform=platform.platform(),
        host=platform.node(),
    )
