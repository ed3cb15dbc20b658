"""42: nothing beside a run, or in the working folder, is imported: by no command, guardian or check."""

import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.faults.measuring import ENVIRONMENT, ROOT, SWEEP, Lab

OPTIONAL = (
    "IPython", "MySQLdb", "PIL", "PyQt5", "PyQt6", "PySide6", "bottleneck", "cairo", "cftime", "cupy", "dask", "flox",
    "fsspec", "gi", "gpib", "gpib_ctypes", "h5netcdf", "ipywidgets", "netCDF4", "nidaqmx", "numbagg", "numexpr",
    "opt_einsum", "oracledb", "orjson", "pandas", "psycopg", "psycopg2", "pydap", "pytest", "pyvisa_sim", "serial",
    "sparse", "sitecustomize", "tables", "ujson", "usb", "usercustomize", "wx", "xarray", "zarr", "zeroconf",
)  # fmt: skip
"""What the libraries import only where it is there, or only when it is needed."""

STARTED_BY_PYTHON = {
    "collections", "contextlib", "encodings", "functools", "importlib", "keyword", "operator", "reprlib", "runpy",
    "types", "warnings",
}  # fmt: skip
"""`python -m` imports these before labnis; only `python -P -m` protects them."""

COMMAND = "import sys; from labnis.cli import main; sys.argv[0] = 'labnis'; main()"


def planted(folder: Path, names: set[str]) -> Path:
    """Modules of these `names` in `folder`, each of which says in a file that it was executed."""
    executed = folder / "executed"
    executed.write_text("", encoding="utf-8")
    for name in names:
        text = f"with open({str(executed)!r}, 'a') as file: file.write({name!r} + ' ')\nraise ImportError({name!r})\n"
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return executed


def every_name() -> set[str]:
    return {*sys.stdlib_module_names, *packages_distributions(), *OPTIONAL} - {"__future__", "antigravity", "this"}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The console script, in a folder of its own."""
    file = tmp_path / "bin" / "labnis"
    file.parent.mkdir()
    file.write_text(COMMAND, encoding="utf-8")
    return file


def result_of(start: list[str], words: str, lab: Lab, folder: Path, path: str = str(ROOT)) -> str:
    environment = os.environ | ENVIRONMENT | {"PYTHONPATH": path}
    options = [] if words.split(maxsplit=1)[0] in ("recover", "new") else ["--station", str(lab.station)]
    done = subprocess.run(
        [sys.executable, *start, *words.split(), *options],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.timeout(400)
def test_no_command_imports_what_lies_in_the_data_folder(lab: Lab, program: Path) -> None:
    sweep = " ".join(SWEEP)
    assert lab.run(points=41).returncode == 0
    folder = lab.run_file.parent
    executed = planted(folder, every_name())
    for words in (
        "check", "ls", f"show {lab.run_file} --figure run.png", f"log {lab.run_file}", "calibrations", "cooldown list",
        f"recover {lab.run_file}", "new lab other", f"run IVSweep --yes --set points=41 --record-visa {sweep}",
        "safe",
    ):  # fmt: skip
        result_of([str(program)], words, lab, folder)
        assert executed.read_text(encoding="utf-8") == "", words


@pytest.mark.parametrize("options", [[], ["-P"]])
def test_nor_does_python_m(lab: Lab, options: list[str]) -> None:
    executed = planted(lab.folder, every_name() - (set() if options else STARTED_BY_PYTHON))
    result_of([*options, "-m", "labnis.cli"], f"run IVSweep --yes --set points=41 {' '.join(SWEEP)}", lab, lab.folder)
    assert executed.read_text(encoding="utf-8") == ""


def test_an_empty_entry_in_pythonpath_is_not_the_working_folder(lab: Lab, program: Path) -> None:
    # Python imports these before any program: an empty entry precedes its own folders.
    before = {*sys.stdlib_module_names, "sitecustomize", "usercustomize", "_distutils_hack"}
    executed = planted(lab.folder, every_name() - before)
    words = f"run IVSweep --yes --set points=41 {' '.join(SWEEP)}"
    result_of([str(program)], words, lab, lab.folder, f"{os.pathsep}{ROOT}")
    assert executed.read_text(encoding="utf-8") == ""


def test_a_module_in_the_working_folder_would_be_imported(tmp_path: Path) -> None:
    executed = planted(tmp_path, {"h5netcdf"})
    subprocess.run([sys.executable, "-c", "import h5netcdf"], cwd=tmp_path, capture_output=True, check=False)
    assert executed.read_text(encoding="utf-8") == "h5netcdf "
