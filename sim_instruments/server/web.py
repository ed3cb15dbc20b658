"""JSON over HTTP or HTTPS from this machine, with faults on request: the base of what a fridge's computer answers."""

import json
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

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

    """

    busy: int = 0
    answer: bytes | None = None
    slow: float = 0.0
    dateless: bool = False


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
        Paths with queries, as they have come.
    address
        While it runs.

    """

    def __init__(self, world: World, *, certificate: Path | None = None) -> None:
        self.world = world
        self.certificate = certificate
        self.faults = WebFaults()
        self.requests: list[str] = []
        self.address = ""

    @property
    def time(self) -> float:
        """Time (s since 1970) at the server."""
        return EPOCH + self.world.clock.time()

    @abstractmethod
    def answered(self, target: str, body: Any) -> tuple[int, Any]:
        """HTTP status and answer to the request of `target`, with a `body` if it is a POST."""

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Listen at a free port within the context."""
        server = _Server(self)
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
        if self.faults.busy > 0:
            self.faults.busy -= 1
            return 503, b'{"error": {"description": "Service unavailable"}}'
        status, answer = self.answered(target, body)
        return status, json.dumps(answer).encode() if self.faults.answer is None else self.faults.answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, web: WebServer) -> None:
        super().__init__((HOST, 0), _Request)
        self.web = web
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate, or gives up, ends the connection: nothing to report."""


class _Request(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
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
