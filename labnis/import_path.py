"""Where Python finds modules: not in the working folder, which may be a data folder with a foreign `xarray.py`.

Every other import of labnis comes after `leave_working_folder`, so this module uses only what Python itself has loaded.
"""

import os
import sys

__all__ = ["leave_working_folder", "python_program"]


def leave_working_folder() -> None:
    """Take the working folder out of `sys.path` where this process is a program of labnis, not a user's own.

    `python -m` puts the folder there, and so does an empty entry in PYTHONPATH (`export PYTHONPATH=$PYTHONPATH:/lab`).
    It stays if PYTHONPATH names it in full, or if labnis itself is in it.
    """
    if not _is_program_of_labnis():
        return
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    stay = {_real(entry) for entry in given if os.path.isabs(entry)}  # noqa: PTH117  # pathlib is not loaded yet
    stay.add(_real(os.path.join(__file__, "..", "..")))  # noqa: PTH118  # as above
    here = _real(".")
    if here not in stay:
        sys.path[:] = [entry for entry in sys.path if _real(entry or ".") != here]


def python_program(module: str, *arguments: str) -> list[str]:
    """Command that runs `module` by this Python, without the working folder in its `sys.path`."""
    return [sys.executable, "-P", "-m", module, *arguments]


def _is_program_of_labnis() -> bool:
    """Whether this is the command `labnis`, or `python -m labnis.…`, whose module Python is about to run."""
    program = os.path.basename(sys.argv[0]) if sys.argv else ""  # noqa: PTH119  # pathlib is not loaded yet
    if program == "-m":
        module = sys.orig_argv[len(sys.orig_argv) - len(sys.argv)].removeprefix("-m")
        return module.partition(".")[0] == "labnis"
    return program in ("labnis", "labnis.exe", "labnis-script.py")


def _real(path: str) -> str:
    return os.path.normcase(os.path.realpath(path))
