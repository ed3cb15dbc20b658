"""JSON over HTTP and websockets from this machine, with faults on request: the base of the computers of a fridge.

With a certificate both have TLS, at the same port.
"""

import json
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from sim_instruments.server.web_socket import converse
from sim_instruments.world import World

__all__ = ["EPOCH", "WebFaults", "WebServer"]

HOST = "127.0.0.1"
#: Time (s since 1970) at which the world's clock is zero.
EPOCH = 1.8e9


@dataclass
class WebFaults:
    """What is wrong with the fridge's computer; settings may change while it runs.

    Attributes
    ----------
    busy
        How many of the next requests are answered with HTTP status 503.
    answer
        Sent in place of each answer, if not None.
    slow
        Time (s) of the real clock until the next byte of an answer; each answer comes byte by byte then.
    dateless
        Whether answers have no header Date.
    dropped
        How many of the next messages of a websocket end the connection without an answer.
    silent
        Whether a websocket is opened and its messages are never answered.
    split
        Whether each answer over a websocket comes in several messages, in the middle of words.
    chatty
        Whether messages that belong to other commands, or to none, come before each answer over a websocket.

    """

    busy: int = 0
    answer: bytes | None = None
    slow: float = 0.0
    dateless: bool = False
    dropped: int = 0
    silent: bool = False
    split: bool = False
    chatty: bool = False


class WebServer(ABC):
    """A server that answers requests with JSON.

    Parameters
    ----------
    world
        The fridge, whose clock is that of the server.
    certificate
        File with certificate and private key, for HTTPS.

    Attributes
    ----------
    faults
        What is wrong.
    requests
        Paths with queries, as they have come, of websockets when they are opened.
    messages
        What has come over websockets.
    address
        While it runs.
    turn
        Held while an answer is made, where the world is shared with other servers.
    on_request
        Called with the path of each request, without a key, and with each message of a websocket.

    """

    turn: AbstractContextManager[Any] = nullcontext()
    on_request: Callable[[str], None] = staticmethod(lambda _: None)

    def __init__(self, world: World, *, certificate: Path | None = None) -> None:
        self.world = world
        self.certificate = certificate
        self.faults = WebFaults()
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.address = ""

    @property
    def time(self) -> float:
        """Time (s since 1970) at the server."""
        return EPOCH + self.world.clock.time()

    @abstractmethod
    def answered(self, target: str, body: Any) -> tuple[int, Any]:
        """HTTP status and answer to the request of `target`, with a `body` if it is a POST."""

    def opened(self, target: str) -> int:
        """HTTP status of the answer to the opening of a websocket: 101 if it is opened."""
        del target
        return 404

    def replies(self, target: str, message: str) -> list[Any]:
        """What is sent over the websocket at `target` after a `message`."""
        del target, message
        return []

    @property
    def socket_address(self) -> str:
        """Address of its websockets, while it runs."""
        return self.address.replace("http", "ws", 1)

    @contextmanager
    def running(self, port: int = 0) -> Iterator[Self]:
        """Listen at a `port`, or a free one, within the context."""
        server = _Server(self, port)
        scheme = "http"
        if self.certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            scheme = "https"
        self.address = f"{scheme}://{HOST}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.stopping.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def respond(self, target: str, body: Any) -> tuple[int, bytes]:
        """HTTP status and text of the answer, faults included."""
        self.requests.append(target)
        self.on_request(target.partition("?")[0])
        if self.faults.busy > 0:
            self.faults.busy -= 1
            return 503, b'{"error": {"description": "Service unavailable"}}'
        with self.turn:
            status, answer = self.answered(target, body)
        return status, json.dumps(answer).encode() if self.faults.answer is None else self.faults.answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    allow_reuse_address = True

    def __init__(self, web: WebServer, port: int) -> None:
        super().__init__((HOST, port), _Request)
        self.web = web
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate, or gives up, ends the connection: nothing to report."""


class _Request(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.close_connection = True
            with suppress(OSError):  # the client may give up
                converse(self, self.server.web, self.server.stopping)
        else:
            self._respond(None)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self._respond(json.loads(self.rfile.read(length)))

    def _respond(self, body: Any) -> None:
        web, faults = self.server.web, self.server.web.faults
        status, text = web.respond(self.path, body)
        self.send_response_only(status)
        if not faults.dateless:
            self.send_header("Date", formatdate(web.time, usegmt=True))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        pieces = [text[at : at + 1] for at in range(len(text))] if faults.slow else [text]
        with suppress(OSError):  # the client may give up
            for piece in pieces:
                self.wfile.write(piece)
                if self.server.stopping.wait(faults.slow):
                    break

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # named by http.server
        """Nothing is written to standard error."""
