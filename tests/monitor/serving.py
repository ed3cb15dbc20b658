"""A monitor in a process of its own, requests to it, and runs that it watches."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.run.bench import ROOT, TRUTH_TEXT

PATIENCE = 60.0


@dataclass(frozen=True)
class Monitor:
    """A monitor that runs; `address` is what it printed."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 80

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, str]:
        """Answer and body; the header Host is that of loopback unless given."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": f"127.0.0.1:{self.port}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        for name, text in given.items():
            connection.putheader(name, text)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
        connection.close()
        return answer, body

    def status(self) -> dict[str, Any]:
        answer, body = self.get("/status.json")
        assert answer.status == 200
        found: dict[str, Any] = json.loads(body)
        return found

    def wait_for(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The state as soon as `condition` holds for it."""
        deadline = time.monotonic() + PATIENCE
        while not condition(found := self.status()):
            assert time.monotonic() < deadline, f"waited too long: {found}"
            time.sleep(0.2)
        return found


@contextmanager
def monitored(folder: Path) -> Iterator[Callable[..., Monitor]]:
    with ExitStack() as stack:

        def begin(options: str = "--port 0", **environment: str) -> Monitor:
            process = stack.enter_context(started(f"monitor {options}", folder, **environment))
            assert process.stdout is not None
            line = process.stdout.readline().strip()
            assert line, process.communicate()[1]
            return Monitor(process, line)

        yield begin


@contextmanager
def started(arguments: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`labnis ARGUMENTS` in `folder`; killed at the end, if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "labnis.cli", *shlex.split(arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def real_time_run(folder: Path, points: int, settling: float = 0.02, more: str = "") -> Any:
    """A dry run in real time that goes on for about `points` × (`settling` + 0.03 s)."""
    (folder / "real.yaml").write_text(f"{TRUTH_TEXT}time: real\n", encoding="utf-8")
    timing = f"--set points={points} --set time_constant=1e-3 --set settling_time={settling}"
    return started(f"run IVSweep --dry-run --twin real.yaml --quiet {timing} {more}", folder)
