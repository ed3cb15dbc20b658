"""Tests run with a temporary home directory, as QCoDeS writes there, one linear-algebra thread, and plain signals."""

import os
import signal
import tempfile

import pytest
from hypothesis import settings

# Before any test module imports QCoDeS, which reads its configuration from the home directory on import.
os.environ["HOME"] = os.environ["USERPROFILE"] = tempfile.mkdtemp(prefix="labnis-test-home-")
# Before numpy is imported. The matrices of the fits are small: threads that wait for each other, beside another worker
# of pytest-xdist on the same cores, make a fit of a few hundred milliseconds take seconds.
os.environ["OMP_NUM_THREADS"] = "1"

# A shell that starts the tests in the background, or nohup, makes them and the processes they start ignore these.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile("labnis", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("labnis")


@pytest.fixture(autouse=True)
def _no_user_station(tmp_path, monkeypatch) -> None:
    """Commands look for station.yaml in the working directory: give every test an empty one."""
    monkeypatch.chdir(tmp_path)
