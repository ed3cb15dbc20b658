"""The twin as a separate process: one TCP socket per instrument on this machine, so that clients may be killed.

Instruments listen at `port`, `port` + 1, … in their order, and use raw SCPI with a line feed at the end of each
message: PyVISA-py opens them as `TCPIP0::127.0.0.1::<port>::SOCKET`. `port` + 5 is the control socket, or the next
one where there are more than five instruments, see `sim_instruments.server.control`. The computers of fridges, which
are read by HTTP and websockets, listen at the ports after it, see `sim_instruments.server.fridge_web`.
Only this machine is served, and no protocol but these, see `sim_instruments.server.messages`.
"""

import itertools
import json
import logging
import secrets
import signal
import socket
import socketserver
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field, NonNegativeInt, SkipValidation, validate_call

from sim_instruments.instruments import PLAIN, Setup
from sim_instruments.server.control import CONTROL_OFFSET
from sim_instruments.server.messages import ForeignProtocolError, received
from sim_instruments.server.requests import parsed
from sim_instruments.server.shared_twin import Disconnected, SharedTwin
from sim_instruments.world import load_truth

__all__ = ["HOST", "ServerError", "TwinServer", "addresses", "serve"]

HOST = "127.0.0.1"

logger = logging.getLogger(__name__)

ATTEMPTS = 50
FIRST_PORTS = range(20_000, 32_000)
"""First ports tried where none is asked for: systems take the ports of clients from above, so that six in a row are
hardly ever free there on a computer with many connections.
"""
# SO_LINGER: close with a reset, as the client sees it when a cable is pulled.
AT_ONCE = struct.pack("ii", 1, 0)


class ServerError(Exception):
    """The server cannot listen; the message has the reason and what to do."""

    exit_code: ClassVar[int] = 2


def addresses(port: int, names: Iterable[str] = PLAIN) -> dict[str, str]:
    """Instrument → VISA address of a server at `port`, of the instruments called `names`."""
    return {name: f"TCPIP0::{HOST}::{number}::SOCKET" for number, name in enumerate(names, start=port)}


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

    def __init__(self, port: int, name: str, server: "TwinServer") -> None:
        super().__init__(port, _Client, server)
        self.name = name
        self.connections: set[socket.socket] = set()

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse the connection during a fault "disconnect"."""
        refused = self.twin_server.twin.faults.holds(self.name, "disconnect")
        if refused:
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        return not refused

    def disconnect(self) -> None:
        """Break all connections."""
        for connection in self.connections.copy():
            with suppress(OSError):  # its client may have disconnected
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
                connection.shutdown(socket.SHUT_RDWR)


class _Client(socketserver.StreamRequestHandler):
    """One connection to an instrument: its own input buffer, and its answers in order."""

    server: _Instrument
    request: socket.socket
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.number = next(self.server.twin_server.client_numbers)
        self.previous = b""
        self.server.connections.add(self.request)
        self._note("connected")

    def finish(self) -> None:
        self.server.connections.discard(self.request)
        super().finish()

    def handle(self) -> None:
        try:
            for message in received(self.rfile, blocks=True):
                self._exchange(message)
        except Disconnected:
            self.server.disconnect()
        except ForeignProtocolError as error:
            self._note(f"refused: {error}")
        except OSError as error:
            self._note(f"lost: {error}")
        self._note("disconnected")

    def _exchange(self, message: bytes) -> None:
        if not message.strip():
            return
        twin_server = self.server.twin_server
        reply = twin_server.twin.carry_out(self.server.name, self.number, message, self.previous)
        self.previous = reply.unspoiled or self.previous
        if reply.delay:
            twin_server.stopping.wait(min(reply.delay, threading.TIMEOUT_MAX))
        if reply.answer:
            twin_server.twin.log.write(self.server.name, self.number, "out", reply.answer)
            self.request.sendall(reply.answer)

    def _note(self, what: str) -> None:
        self.server.twin_server.twin.log.write(self.server.name, self.number, "event", what)


class _Controller(socketserver.StreamRequestHandler):
    """One connection to the control socket: a JSON object per line, each answered by one."""

    server: _Listener

    def handle(self) -> None:
        with suppress(OSError):  # the client may disconnect without reading
            try:
                for line in received(self.rfile):
                    self._answer(self._carried_out(line))
            except ForeignProtocolError as error:
                self._answer({"ok": False, "error": str(error)})

    def _answer(self, answer: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(answer).encode() + b"\n")

    def _carried_out(self, line: bytes) -> dict[str, Any]:
        try:
            request = parsed(line)
            if request.do == "shutdown":
                self.server.twin_server.stopping.set()
            return {"ok": True, **self.server.twin_server.twin.request(request)}
        except ValueError as error:
            return {"ok": False, "error": str(error)}


class TwinServer:
    """The listening sockets of the server.

    Parameters
    ----------
    twin
        The instruments.
    port
        Port of the first instrument; 0 finds enough free ones in a row.

    Attributes
    ----------
    port
        Port of the first instrument.
    stopping
        Set it to end the server.

    Raises
    ------
    ServerError
        A port cannot be used.

    """

    def __init__(self, twin: SharedTwin, port: int = 0) -> None:
        self.twin = twin
        self.stopping = threading.Event()
        self.client_numbers = itertools.count(1)
        self._listeners = self._listen(port) if port else self._listen_anywhere()
        self.port: int = self._listeners[0].server_address[1]
        self._web_port = port and self._listeners[-1].server_address[1] + 1

    def _listen(self, port: int) -> list[_Listener]:
        listeners: list[_Listener] = []
        try:
            for name in self.twin.panels:
                listeners.append(_Instrument(port + len(listeners), name, self))
            listeners.append(_Listener(port + max(CONTROL_OFFSET, len(listeners)), _Controller, self))
        except (OSError, OverflowError) as error:
            for listener in listeners:
                listener.server_close()
            raise ServerError(
                f"port {port + len(listeners)} of {HOST} cannot be used: {error}; the twin takes "
                f"{len(self.twin.panels) + 1} ports in a row: choose another first port, or 0 for free ones"
            ) from error
        return listeners

    def _listen_anywhere(self) -> list[_Listener]:
        for _ in range(ATTEMPTS - 1):
            with suppress(ServerError):  # one of the ports was taken
                return self._listen(secrets.choice(FIRST_PORTS))
        return self._listen(secrets.choice(FIRST_PORTS))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve during the context."""
        with self._listening(), ExitStack() as fridges:
            for count, name in enumerate(self.twin.web_servers):
                self._begin_fridge(name, self._web_port and self._web_port + count, fridges)
            yield

    def _begin_fridge(self, name: str, port: int, fridges: ExitStack) -> None:
        web = self.twin.web_servers[name]
        web.on_request = partial(self.twin.log.write, name, next(self.client_numbers), "in")
        try:
            fridges.enter_context(web.running(port))
        except (OSError, OverflowError) as error:
            raise ServerError(f"port {port} of {HOST} cannot be used for {name}: {error}") from error

    def addresses(self) -> dict[str, str]:
        """Instrument → address of all that are served, while they are."""
        webs = {name: web.address for name, web in self.twin.web_servers.items()}
        return addresses(self.port, self.twin.panels) | webs

    @contextmanager
    def _listening(self) -> Iterator[None]:
        for listener in self._listeners:
            listener.begin()
        try:
            yield
        finally:
            self.stopping.set()
            # Each waits up to one polling interval; in threads they wait at the same time.
            ending = [threading.Thread(target=listener.shutdown) for listener in self._listeners]
            for thread in ending:
                thread.start()
            for thread, listener in zip(ending, self._listeners, strict=True):
                thread.join()
                listener.server_close()
            self.twin.stop()


@validate_call
def serve(
    truth: Path,
    *,
    port: Annotated[int, Field(ge=0, lt=1 << 16)] = 0,
    seed: NonNegativeInt | None = None,
    log: Path | None = None,
    speed: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0,
    setup: SkipValidation[Setup] = Setup(),  # noqa: B008  # frozen
) -> None:
    """Serve the twin of the truth file at `truth` until SIGTERM, SIGINT or a request of the control socket.

    `seed`, `log`, `speed` and `setup` are those of `SharedTwin`.

    Prints a line `name address` for each instrument and then `ready`. Its time is always real, because it is used
    to check ramps.

    Raises
    ------
    pydantic.ValidationError
        Where an option makes no sense; the message names it.
    TruthError
        Where the truth file cannot be used.
    ServerError
        Where a port cannot be used.

    """
    server = TwinServer(SharedTwin(load_truth(truth), seed=seed, log=log, speed=speed, setup=setup), port)
    with server.running():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stopping.set())
        for name, address in server.addresses().items():
            print(name, address)  # noqa: T201  # read by the process that started the server
        print("ready", flush=True)  # noqa: T201
        server.stopping.wait()
