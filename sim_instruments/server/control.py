"""Requests to a running twin itself: faults, presets and the state of its source, one JSON object per line.

::

    control(port, do="fault", instrument="bias", kind="drop", match=":SOUR:VOLT?")    arm a fault, see `faults.Fault`
    control(port, do="faults")              → {"struck": [3, 0]}                messages struck, by armed fault
    control(port, do="clear")                                                   remove all faults
    control(port, do="source")              → {"level": 0.002, "output": true}  as the instrument holds them
    control(port, do="leave", level=0.002, output=True)                         set the source, without a ramp
    control(port, do="temperatures", schedule=[[0, 0.1], [5, 0.3]])             mixing chamber, from now on
    control(port, do="temperatures", schedule=[[0, None]])                      … stale from now on
    control(port, do="shutdown")                                                end the server

Every answer has `ok`; where that is false, `error` says why, and nothing was changed. Unknown keys are refused, and
times and temperatures that make no sense, see `sim_instruments.server.requests`. A fault counts messages that
instruments execute after it was armed, including messages that were sent before.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim_instruments.instruments import SHIPPED_TRUTH

__all__ = ["CONTROL_OFFSET", "ControlError", "ServerProcess", "control", "launched"]

#: Port of the control socket above the first instrument's.
CONTROL_OFFSET = 5

TIMEOUT = 10.0


class ControlError(Exception):
    """The twin refused a request; the message has the reason."""


def control(port: int, **request: Any) -> dict[str, Any]:
    """Send one request to the twin whose first instrument is at `port`, and return its answer.

    Raises
    ------
    ControlError
        The twin refuses it.
    OSError
        No twin answers.

    """
    with socket.create_connection(("127.0.0.1", port + CONTROL_OFFSET), timeout=TIMEOUT) as connection:
        connection.sendall(json.dumps(request).encode() + b"\n")
        with connection.makefile("rb") as stream:
            line = stream.readline()
    if not line:
        raise ControlError(f"the twin closed the connection instead of answering {request}")
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok"):
        raise ControlError(f"{request}: {answer['error']}")
    return answer


@dataclass(frozen=True)
class ServerProcess:
    """A twin server that was started here: its process, its first port, and instrument → VISA address."""

    process: subprocess.Popen[str]
    port: int
    addresses: dict[str, str]


@contextmanager
def launched(truth: Path = SHIPPED_TRUTH, **options: Any) -> Iterator[ServerProcess]:
    """Run a twin server in a separate process until the context, or this process, ends.

    Parameters
    ----------
    truth
        Truth file.
    **options
        Further parameters of `sim_instruments.server.serve`.

    Raises
    ------
    ControlError
        The server does not start; its message is on standard error.

    """
    given = json.dumps({"truth": truth, **options}, default=str)
    command = [sys.executable, "-P", "-m", "sim_instruments.server", given]
    # The command is this interpreter with this package. It runs in a session of its own, so that Ctrl-C in the
    # terminal ends the clients but not their instruments.
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:  # noqa: S603
        try:
            found = dict(_announced(process))
            yield ServerProcess(process, int(next(iter(found.values())).split("::")[2]), found)
        finally:
            process.terminate()
            try:
                process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()


def _announced(process: subprocess.Popen[str]) -> Iterator[tuple[str, str]]:
    """Instruments and addresses that the server prints before it is ready."""
    for line in process.stdout or ():
        if line.strip() == "ready":
            return
        name, _, address = line.strip().rpartition(" ")
        yield name, address
    raise ControlError(f"the twin server ended with exit code {process.wait()} before it was ready")
