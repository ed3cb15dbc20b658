"""The twin as a process of its own: one TCP socket per instrument on this machine, so that clients may die.

Instruments listen at `port` (bias), `port` + 1 (lockin), … in the order of `ADDRESSES`, and speak raw SCPI with a line
feed at the end of each message: PyVISA-py opens them as `TCPIP0::127.0.0.1::<port>::SOCKET`. At `port` + 5 tests speak
to the twin itself, see `sim_instruments.server.control`. Only this machine is served.
"""

import itertools
import logging
import signal
import socket
import socketserver
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from sim_instruments.instruments import ADDRESSES
from sim_instruments.server.control import CONTROL_OFFSET, answer_request
from sim_instruments.server.faults import Fault
from sim_instruments.server.shared_twin import Disconnected, Preset, SharedTwin
from sim_instruments.world.truth import LineWiring, load_truth

__all__ = ["HOST", "ServerError", "TwinServer", "addresses", "serve"]

HOST = "127.0.0.1"

logger = logging.getLogger(__name__)

# No message is longer; a client that sends more without a line feed is not speaking SCPI.
LONGEST_MESSAGE = 1 << 20
ATTEMPTS = 50
# Close with a reset rather than politely, as a pulled plug looks from the other side.
AT_ONCE = struct.pack("ii", 1, 0)


class ServerError(Exception):
    """The server cannot listen; says why and what to do."""

    exit_code: ClassVar[int] = 2


def addresses(port: int) -> dict[str, str]:
    """Role → VISA address of a server at `port`."""
    return {role: f"TCPIP0::{HOST}::{port + offset}::SOCKET" for offset, role in enumerate(ADDRESSES)}


class _Listener(socketserver.ThreadingTCPServer):
    """One listening socket; its connections are threads that end with the process."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 50

    def __init__(self, port: int, handler: type[socketserver.BaseRequestHandler], server: "TwinServer") -> None:
        super().__init__((HOST, port), handler)
        self.twin_server = server

    def begin(self) -> None:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.exception("the twin failed while it served %s; that connection is closed", client_address)


class _Instrument(_Listener):
    """The socket of one instrument."""

    def __init__(self, port: int, role: str, server: "TwinServer") -> None:
        super().__init__(port, _Client, server)
        self.role = role
        self.connections: set[socket.socket] = set()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse the connection while a fault asks for it."""
        refused = self.twin_server.twin.faults.refuses(self.role)
        if refused:
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        return not refused

    def disconnect(self) -> None:
        """Break all connections."""
        for connection in self.connections.copy():
            with suppress(OSError):  # its client may have gone by itself
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                connection.shutdown(socket.SHUT_RDWR)


class _Client(socketserver.BaseRequestHandler):
    """One connection to an instrument: its own input buffer, and its answers in order."""

    server: _Instrument
    request: socket.socket

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.number = self.server.twin_server.next_client()
        self.previous = b""
        self.server.connections.add(self.request)
        self._note("connected")

    def finish(self) -> None:
        self.server.connections.discard(self.request)

    def handle(self) -> None:
        pending = bytearray()
        try:
            while len(pending) < LONGEST_MESSAGE and (data := self.request.recv(1 << 16)):
                pending += data
                *messages, pending = pending.split(b"\n")
                for message in messages:
                    self._exchange(bytes(message))
        except Disconnected:
            self.server.disconnect()
        except OSError as error:
            self._note(f"lost: {error}")
        self._note(f"gone, with {len(pending)} bytes of an unfinished message" if pending else "gone")

    def _exchange(self, message: bytes) -> None:
        if not message.strip():
            return
        twin_server = self.server.twin_server
        reply = twin_server.twin.carry_out(self.server.role, self.number, message, self.previous)
        self.previous = reply.unspoiled or self.previous
        if reply.delay:
            twin_server.stopping.wait(min(reply.delay, threading.TIMEOUT_MAX))
        if reply.answer:
            twin_server.twin.log.write(self.server.role, self.number, "out", reply.answer)
            self.request.sendall(reply.answer)

    def _note(self, what: str) -> None:
        self.server.twin_server.twin.log.write(self.server.role, self.number, "event", what)


class _Controller(socketserver.StreamRequestHandler):
    """One connection to the twin itself: a JSON object per line, each answered by one."""

    server: _Listener

    def handle(self) -> None:
        twin_server = self.server.twin_server
        with suppress(OSError):  # a controller that leaves without reading
            for line in self.rfile:
                self.wfile.write(answer_request(line, twin_server.twin, twin_server.stopping))


class TwinServer:
    """A running server, as a context.

    Parameters
    ----------
    twin
        The instruments.
    port
        Port of the first instrument; 0 looks for six free ones in a row.

    Attributes
    ----------
    port
        Port of the first instrument.
    stopping
        Set by whoever wants the server to end.

    Raises
    ------
    ServerError
        Where a port cannot be used.

    """

    def __init__(self, twin: SharedTwin, port: int = 0) -> None:
        self.twin = twin
        self.stopping = threading.Event()
        self._numbers = itertools.count(1)
        self._listeners = self._listen(port) if port else self._listen_anywhere()
        self.port: int = self._listeners[0].server_address[1]

    def next_client(self) -> int:
        """A number for a new connection."""
        return next(self._numbers)

    def _listen(self, port: int) -> list[_Listener]:
        listeners: list[_Listener] = []
        try:
            for role in ADDRESSES:
                listeners.append(_Instrument(port and port + len(listeners), role, self))
                port = listeners[0].server_address[1]
            listeners.append(_Listener(port + CONTROL_OFFSET, _Controller, self))
        except (OSError, OverflowError) as error:
            for listener in listeners:
                listener.server_close()
            raise ServerError(
                f"port {port + len(listeners)} of {HOST} cannot be used: {error}; the twin takes "
                f"{CONTROL_OFFSET + 1} ports in a row: choose another first one, or 0 to have free ones found"
            ) from error
        return listeners

    def _listen_anywhere(self) -> list[_Listener]:
        for _ in range(ATTEMPTS - 1):
            with suppress(ServerError):  # a port above the free one was taken
                return self._listen(0)
        return self._listen(0)

    def __enter__(self) -> Self:
        for listener in self._listeners:
            listener.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stopping.set()
        # Each waits for its own thread's next look around; together they wait once.
        ending = [threading.Thread(target=listener.shutdown) for listener in self._listeners]
        for thread in ending:
            thread.start()
        for thread, listener in zip(ending, self._listeners, strict=True):
            thread.join()
            listener.server_close()
        self.twin.stop()


def serve(
    truth: Path,
    *,
    port: int = 0,
    seed: int | None = None,
    log: Path | None = None,
    faults: Sequence[Fault] = (),
    preset: Preset | None = None,
    speed: float = 1.0,
    wiring: LineWiring | None = None,
) -> None:
    """Serve the twin of the truth file at `truth` until SIGTERM, SIGINT or a request of the controller.

    Prints a line `role address` for each instrument and then `ready`. Parameters are those of `SharedTwin` and
    `TwinServer`. Its time is real whatever the truth file says: ramps are judged by it.

    Raises
    ------
    TruthError
        Where the truth file cannot be used.
    ServerError
        Where a port cannot be used.

    """
    twin = SharedTwin(load_truth(truth), seed=seed, log=log, faults=faults, preset=preset, speed=speed, wiring=wiring)
    with TwinServer(twin, port) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stopping.set())
        for role, address in addresses(server.port).items():
            print(role, address)  # noqa: T201  # the contract with whoever started the server
        print("ready", flush=True)  # noqa: T201
        server.stopping.wait()
