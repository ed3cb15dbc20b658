"""The computer of a simulated fridge: Bluefors Control Software as an HTTP server on this machine.

It has the values of the four stages, read by a scanner that comes to each of them in turn, so that all but one are some
time old. All times, also the header Date, are those of the world's clock. Facts as in `drivers.bluefors_control`.
"""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sim_instruments.world import Stage, World

__all__ = ["FridgeFaults", "FridgeScanner", "FridgeWeb"]

HOST = "127.0.0.1"
#: Time (s since 1970) at which the world's clock is zero.
EPOCH = 1.8e9
NAMES: Mapping[str, Stage] = {
    "t50k": "fifty_kelvin",
    "t4k": "four_kelvin",
    "tstill": "still",
    "tmixing": "mixing_chamber",
}


@dataclass
class FridgeFaults:
    """What is wrong with the fridge's computer; settings may change while it runs.

    Attributes
    ----------
    busy
        How many of the next requests are answered with HTTP status 503.
    answer
        Sent in place of each answer, if not None.
    status
        Status of the latest value, where it is not SYNCHRONIZED.
    outdated
        Whether values are marked as outdated.
    slow
        Time (s) of the real clock until the next byte of an answer; each answer comes byte by byte then.
    dateless
        Whether answers have no header Date.

    """

    busy: int = 0
    answer: bytes | None = None
    status: str = "SYNCHRONIZED"
    outdated: bool = False
    slow: float = 0.0
    dateless: bool = False


@dataclass
class FridgeScanner:
    """A scanner of the four stages.

    Attributes
    ----------
    world
        The fridge.
    dwell
        Time (s) for each stage.
    stopped
        Time (s) of the world's clock at which it stopped; None while it scans.

    """

    world: World
    dwell: float = 20.0
    stopped: float | None = None
    _read: dict[str, tuple[float, float]] = field(default_factory=dict)

    def reading(self, name: str) -> tuple[float, float]:
        """Time (s) of the world's clock, and temperature (K), of the last reading of the stage called `name`."""
        now = self.world.clock.time() if self.stopped is None else self.stopped
        cycle = self.dwell * len(NAMES)
        end = self.dwell * (1 + list(NAMES).index(name))
        # Before the first scan is complete there are readings of the scan before.
        last = end + cycle * ((now - end) // cycle)
        if name not in self._read or self._read[name][0] != last:
            self._read[name] = (last, self.world.temperature(NAMES[name]))
        return self._read[name]


class FridgeWeb:
    """Bluefors Control Software.

    Parameters
    ----------
    world
        The fridge.
    key
        The API key that each request needs; empty for none.
    branch
        Where the temperatures are.
    certificate
        File with certificate and private key, for HTTPS.

    Attributes
    ----------
    faults
        What is wrong.
    scanner
        The scanner.
    requests
        Paths with queries, as they have come.
    address
        While it runs.

    """

    def __init__(
        self, world: World, *, key: str = "", branch: str = "mapper.bf.temperatures", certificate: Path | None = None
    ) -> None:
        self.world = world
        self.key = key
        self.branch = branch
        self.certificate = certificate
        self.faults = FridgeFaults()
        self.scanner = FridgeScanner(world)
        self.requests: list[str] = []
        self.address = ""

    @contextmanager
    def running(self) -> Iterator["FridgeWeb"]:
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

    def answered(self, target: str) -> tuple[int, Any]:
        """HTTP status and answer to the request of `target`."""
        self.requests.append(target)
        parts = urlsplit(target)
        if self.faults.busy > 0:
            self.faults.busy -= 1
            return 503, {"error": {"description": "Service unavailable"}}
        if self.key and parse_qs(parts.query).get("key") != [self.key]:
            return 401, {"error": {"description": "Unauthorized"}}
        words = [word for word in parts.path.split("/") if word]
        if words == ["system"]:
            return 200, {"data": {"product_type": "LD400", "system_name": "TWIN-LD400", "sw_version": "2.6.1"}}
        if words[:1] == ["values"]:
            return 200, {"data": self._nodes(".".join(words[1:]))}
        return 404, {"error": {"description": "Not found"}}

    def _nodes(self, path: str) -> dict[str, Any]:
        names = {f"{self.branch}.{name}": name for name in NAMES}
        return {
            full: {
                "name": full,
                "type": "Value.Number.Float.Unit.temperature",
                "content": self._content(name),
            }
            for full, name in names.items()
            if full == path or full.startswith(f"{path}.") or not path
        }

    def _content(self, name: str) -> dict[str, Any]:
        time, kelvin = self.scanner.reading(name)
        valid = {
            "value": f"{kelvin:.6g}",
            "status": "SYNCHRONIZED",
            "date": round(1e3 * (EPOCH + time)),
            "outdated": self.faults.outdated,
        }
        if self.faults.status == "SYNCHRONIZED":
            return {"latest_value": valid, "latest_valid_value": valid}
        now = round(1e3 * (EPOCH + self.world.clock.time()))
        return {
            "latest_value": {"value": "", "status": self.faults.status, "date": now, "outdated": False},
            "latest_valid_value": valid,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, web: FridgeWeb) -> None:
        super().__init__((HOST, 0), _Request)
        self.web = web
        self.stopping = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate, or gives up, ends the connection: nothing to report."""


class _Request(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # named by http.server
        status, answer = self.server.web.answered(self.path)
        faults = self.server.web.faults
        text = json.dumps(answer).encode() if faults.answer is None else faults.answer
        self.send_response_only(status)
        if not faults.dateless:
            self.send_header("Date", formatdate(EPOCH + self.server.web.world.clock.time(), usegmt=True))
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
