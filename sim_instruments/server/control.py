"""Speaking to a running twin itself: faults, presets and the state of its source, one JSON object per line.

::

    control(port, do="fault", role="bias", kind="drop", match=":SOUR:VOLT?")    arm a fault, see `faults.Fault`
    control(port, do="faults")              → {"struck": [3, 0]}                messages struck, by armed fault
    control(port, do="clear")                                                   forget all faults
    control(port, do="source")              → {"level": 0.002, "output": true}  as the instrument holds them
    control(port, do="leave", level=0.002, output=True)                         as a former run might have left it
    control(port, do="temperatures", schedule=[[0, 0.1], [5, 0.3]])             mixing chamber, from now on
    control(port, do="temperatures", schedule=[[0, None]])                      … stale from now on
    control(port, do="shutdown")                                                end the server

Every answer has `ok`; where that is false, `error` says why. A fault counts what instruments take up after it was
armed, messages included that are then still on their way.
"""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim_instruments.instruments import SHIPPED_TRUTH
from sim_instruments.server.faults import Fault

if TYPE_CHECKING:
    from sim_instruments.server.shared_twin import SharedTwin

__all__ = ["CONTROL_OFFSET", "ControlError", "ServerProcess", "answer_request", "control", "launched"]

#: Port of the control socket above the first instrument's.
CONTROL_OFFSET = 5

TIMEOUT = 10.0


class ControlError(Exception):
    """The twin refused a request; says why."""


# --- in the client --------------------------------------------------------------------------------------------------


def control(port: int, **request: Any) -> dict[str, Any]:
    """Send one request to the twin whose first instrument is at `port`, and return its answer.

    Raises
    ------
    ControlError
        Where the twin refuses it.
    OSError
        Where no twin answers.

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
    """A twin server that was started here: its process, its first port, and role → VISA address."""

    process: subprocess.Popen[str]
    port: int
    addresses: dict[str, str]


@contextmanager
def launched(truth: Path = SHIPPED_TRUTH, **options: Any) -> Iterator[ServerProcess]:
    """Run a twin server in a process of its own until the context, or this process, ends.

    Parameters
    ----------
    truth
        Truth file.
    **options
        Those of `sim_instruments.server.serve`.

    Raises
    ------
    ControlError
        Where the server does not start; its own message is on standard error.

    """
    given = json.dumps({"truth": truth, **options}, default=_plain)
    command = [sys.executable, "-m", "sim_instruments.server", given]
    # Not from outside: this interpreter with this package. In a session of its own, so that Ctrl-C in the terminal
    # ends the clients but not their instruments.
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:  # noqa: S603
        try:
            found = dict(_announced(process))
            port = int(found["bias"].split("::")[2])
            yield ServerProcess(process, port, found)
        finally:
            process.terminate()
            try:
                process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()


def _plain(value: Any) -> Any:
    """Options that JSON does not know: dataclasses as mappings, paths as text."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def _announced(process: subprocess.Popen[str]) -> Iterator[tuple[str, str]]:
    """Roles and addresses that the server prints before it is ready."""
    for line in process.stdout or ():
        if line.strip() == "ready":
            return
        role, _, address = line.strip().partition(" ")
        yield role, address
    raise ControlError(f"the twin server ended with exit code {process.wait()} before it was ready")


# --- in the server --------------------------------------------------------------------------------------------------


def answer_request(line: bytes, twin: "SharedTwin", stopping: threading.Event) -> bytes:
    """Carry out one request and return the line to answer."""
    try:
        request = json.loads(line)
        carry_out = _known_request(request.pop("do"))
        answer = {"ok": True, **carry_out(twin, stopping, **request)}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    return json.dumps(answer).encode() + b"\n"


def _known_request(what: str) -> Callable[..., dict[str, Any]]:
    if what not in _REQUESTS:
        raise ValueError(f"{what!r} is no request; allowed are {', '.join(_REQUESTS)}")
    return _REQUESTS[what]


def _arm(twin: "SharedTwin", _stopping: threading.Event, **fault: Any) -> dict[str, Any]:
    twin.faults.arm(Fault(**fault))
    return {}


def _struck(twin: "SharedTwin", _stopping: threading.Event) -> dict[str, Any]:
    return {"struck": twin.faults.struck()}


def _clear(twin: "SharedTwin", _stopping: threading.Event) -> dict[str, Any]:
    twin.faults.clear()
    return {}


def _source(twin: "SharedTwin", _stopping: threading.Event) -> dict[str, Any]:
    level, output = twin.source_state()
    return {"level": level, "output": output}


def _leave(twin: "SharedTwin", _stopping: threading.Event, *, level: float, output: bool) -> dict[str, Any]:
    twin.leave_source(level, output=output)
    return {}


def _temperatures(
    twin: "SharedTwin", _stopping: threading.Event, *, schedule: list[tuple[float, float | None]]
) -> dict[str, Any]:
    twin.schedule_temperatures([(float(seconds), kelvin) for seconds, kelvin in schedule])
    return {}


def _shutdown(_twin: "SharedTwin", stopping: threading.Event) -> dict[str, Any]:
    stopping.set()
    return {}


_REQUESTS: dict[str, Callable[..., dict[str, Any]]] = {
    "fault": _arm,
    "faults": _struck,
    "clear": _clear,
    "source": _source,
    "leave": _leave,
    "temperatures": _temperatures,
    "shutdown": _shutdown,
}
