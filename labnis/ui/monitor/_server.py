"""The web server of the monitor: one reader for all pages, and the pages, on one event loop."""

import asyncio
import errno
import json
import re
import secrets
import signal
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from bokeh.document import Document
from bokeh.server.server import BaseServer
from bokeh.settings import settings
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import RequestHandler

from labnis.errors import RequestError
from labnis.ledger import Ledger
from labnis.ui.monitor._guard import GuardedTornado, allowed_hosts
from labnis.ui.monitor._history import HistoryPage
from labnis.ui.monitor._metrics import metrics_text, status_of
from labnis.ui.monitor._pages import Page, RunPage, StartPage
from labnis.ui.monitor._reader import Reader
from labnis.ui.monitor._snapshot import Snapshot

__all__ = ["serve"]

SHARE = 20
"""The next reading begins after so many times the time that the last one, and the pages since, have taken."""

SHORTEST, LONGEST = 1.0, 10.0
"""Time (s) between two readings."""

PING = 20.0
"""Time (s) between two questions whether a page is still there, and that for its answer."""

HOST = re.compile(r"(?:[\w.-]+|\[[\da-f:.]+\])(?::\d+)?", re.ASCII | re.IGNORECASE)

TOKEN = re.compile(r"[\w-]{16,}", re.ASCII)

PAGES: Mapping[str, Callable[[Document, Snapshot], Page]] = {"/": StartPage, "/run": RunPage, "/history": HistoryPage}

NICE = 10
"""How far the monitor stands back behind a measurement on the same processor."""


def serve(
    data: Path,
    open_ledger: Callable[[], Ledger],
    *,
    address: str = "127.0.0.1",
    port: int = 0,
    allow: Sequence[str] = (),
    token: str | None = None,
    say: Callable[[str], None],
) -> None:
    """Serve the pages until SIGTERM or SIGINT.

    Parameters
    ----------
    data
        Folder of all runs.
    open_ledger
        Opens the ledger for reading.
    address, port
        Where the server listens; port 0 chooses a free one.
    allow
        Hosts by which it may be addressed, besides loopback; needed at another address than that.
    token
        What a browser has to know at another address than loopback; a random one by default.
    say
        Called with a line for the user: the address, with the token.

    Raises
    ------
    RequestError
        It cannot listen there, nobody could address it, a host is none, or the token is too short or no word.

    """
    if not _is_loopback(address) and not allow:
        raise RequestError(
            f"--address {address} lets other computers in: name with --allow each host by which they address this one, "
            "such as --allow fridge.lab.example; nothing else is answered"
        )
    if token and not TOKEN.fullmatch(token):
        raise RequestError(
            "the token has at least 16 letters, digits, - and _; give another one, or none for a random one"
        )
    if wrong := [host for host in allow if not HOST.fullmatch(host)]:
        raise RequestError(f"--allow {wrong[0]!r}: a name or address of a host is needed, perhaps with :PORT")
    protected = not _is_loopback(address) or bool(allow)
    token = (token or secrets.token_urlsafe(24)) if protected else None
    asyncio.run(_Monitor(Reader(data, open_ledger), address, port, tuple(allow), token, say).run())


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


class _Monitor:
    """Reads again and again, and gives each snapshot to the open pages."""

    def __init__(
        self,
        reader: Reader,
        address: str,
        port: int,
        allow: tuple[str, ...],
        token: str | None,
        say: Callable[[str], None],
    ) -> None:
        self._reader = reader
        self._address = address
        self._port = port
        self._allow = allow
        self._token = token
        self._say = say
        self._pages: dict[Document, Page] = {}
        self._snapshot = Snapshot(datetime.now(UTC))
        self._asked = asyncio.Event()

    async def run(self) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopping.set))
        self._snapshot = await self._read()
        server = self._server()
        reading = asyncio.create_task(self._read_on())
        stopped = asyncio.create_task(stopping.wait())
        try:
            await asyncio.wait((reading, stopped), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            reading.cancel()
            stopped.cancel()
            server.stop(wait=False)

    def _server(self) -> BaseServer:
        settings.resources = "server"  # whatever the environment says: nothing is loaded from elsewhere
        try:
            sockets = bind_sockets(self._port, self._address)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                busy = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror
                raise RequestError(
                    f"--port {self._port}: {self._address} cannot be used: {busy}. "
                    "Give another port, or 0 for a free one."
                ) from error
            raise RequestError(
                f"--address {self._address}: it is none of this computer: {error.strerror or error}"
            ) from error
        port = sockets[0].getsockname()[1]
        tornado = GuardedTornado(
            {path: partial(self._open, kind) for path, kind in PAGES.items()},
            hosts=allowed_hosts(port, self._allow),
            token=self._token,
            cookie=f"labnis-monitor-{port}",
            extra_patterns=[
                (r"/status\.json", _Text, {"text": self._status, "kind": "application/json"}),
                (r"/metrics", _Text, {"text": self._metrics, "kind": "text/plain; version=0.0.4; charset=utf-8"}),
            ],
            use_index=False,
            # A phone that sleeps reads nothing: what it does not read is not kept for it.
            websocket_ping_interval=PING,
            websocket_ping_timeout=PING,
        )
        http = HTTPServer(tornado, max_body_size=1 << 16)
        server = BaseServer(IOLoop.current(), tornado, http)
        http.add_sockets(sockets)
        server.start()
        query = f"?token={self._token}" if self._token is not None else ""
        own = f"[{self._address}]" if ":" in self._address else self._address
        for host in self._allow or (own,):
            has_port = ":" in host.rpartition("]")[2]
            self._say(f"http://{host}{'' if has_port else f':{port}'}/{query}")
        return server

    def _status(self) -> str:
        return json.dumps(status_of(self._snapshot))

    def _metrics(self) -> str:
        return metrics_text(self._snapshot)

    async def _read(self, wanted: Collection[str] = ()) -> Snapshot:
        """A snapshot, read in a thread that the end of the process does not wait for: a lab's own analysis may hang."""
        found: Future[Snapshot] = Future()

        def read() -> None:
            found.set_running_or_notify_cancel()  # not cancelled from now on
            try:
                found.set_result(self._reader.read(wanted))
            except BaseException as error:  # noqa: BLE001  # raised below
                found.set_exception(error)

        threading.Thread(target=read, name="labnis-monitor-reader", daemon=True).start()
        return await asyncio.wrap_future(found)

    async def _read_on(self) -> None:
        psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if psutil.WINDOWS else NICE)
        while True:
            begun = time.process_time()
            wanted = {run for page in self._pages.values() for run in page.wanted}
            self._snapshot = await self._read(wanted)
            for document, page in list(self._pages.items()):
                document.add_next_tick_callback(partial(page.show, self._snapshot))
            self._asked.clear()
            await asyncio.sleep(SHORTEST)
            left = min(SHARE * (time.process_time() - begun), LONGEST) - SHORTEST
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), max(left, 0.0))

    def _open(self, kind: Callable[[Document, Snapshot], Page], document: Document) -> None:
        """Make a page in a new `document`."""
        page = kind(document, self._snapshot)
        self._pages[document] = page
        document.on_session_destroyed(lambda session_context: self._closed(document))
        if page.wanted:
            self._asked.set()  # what it shows is perhaps not read yet

    def _closed(self, document: Document) -> None:
        self._pages.pop(document, None)


class _Text(RequestHandler):
    """Answers with a text of the newest snapshot."""

    def initialize(self, text: Callable[[], str], kind: str) -> None:
        self._text = text
        self._kind = kind

    def get(self) -> None:
        """Answer."""
        self.set_header("Content-Type", self._kind)
        self.set_header("Cache-Control", "no-store")
        self.finish(self._text())

    head = get
