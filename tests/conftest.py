"""Tests run in a temporary folder of their own, with one linear-algebra thread, and plain signals."""

import atexit
import gc
import logging
import os
import signal
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.temporary_folder import left_behind, own_home, own_temporary_folder, remove

# A worker of pytest-xdist uses the folder of the process that started it.
FOLDER = None if "PYTEST_XDIST_WORKER" in os.environ else own_temporary_folder()
if FOLDER is not None:
    # After what is registered later, such as multiprocessing's removal of its own folder within this one.
    atexit.register(remove, FOLDER)
# Before any test module imports QCoDeS, which reads its configuration from the home directory on import.
own_home()
# Before numpy is imported. The matrices of the fits are small: threads that wait for each other, beside another worker
# of pytest-xdist on the same cores, make a fit of a few hundred milliseconds take seconds.
os.environ["OMP_NUM_THREADS"] = "1"

# A shell that starts the tests in the background, or nohup, makes them and the processes they start ignore these.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("labnis", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("labnis")


# Imports leave nothing to collect; looking for it took a fifteenth of the tests' time.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on collect garbage, among what the tests make."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Fail a session whose tests have left something in the temporary folder; workers have ended before."""
    yield
    if FOLDER is None:
        return
    if left := left_behind(FOLDER):
        session.exitstatus = session.exitstatus or pytest.ExitCode.TESTS_FAILED
        writer = session.config.get_terminal_writer()
        writer.line(f"left in the temporary folder by the tests: {', '.join(left)}", red=True)


@pytest.fixture(autouse=True)
def _no_user_station(tmp_path, monkeypatch) -> None:
    """Commands look for station.yaml in the working directory: give every test an empty one."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _log_levels_are_as_at_first() -> None:
    """Commands that run in this process, and some tests, hide what QCoDeS logs, and with it what the drivers log."""
    for name in [name for name in logging.root.manager.loggerDict if name.split(".")[0] == "qcodes"]:
        logging.getLogger(name).setLevel(logging.NOTSET)
