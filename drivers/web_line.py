"""The line to an instrument that answers JSON over HTTP, or a websocket, with or without TLS.

Every failure of it is a CommunicationError.

Each request has its own connection, so an answer is never that to another request. A request that fails, or that the
server is too busy for, is repeated, up to three times in all: `fetch` is for what changes nothing, and so is a
conversation over a websocket. `send` is for what changes something, and does so once. Redirections are not followed,
and no proxy is used: both would get the key.
The timeout does not bind the name service; an IP address needs none.

The certificate of an HTTPS server is verified as usual. For a certificate that the server has signed itself, the
SHA-256 fingerprint is named (`certificate`); it is compared before anything is sent. `verify: false` accepts any
certificate.
"""

import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from qcodes.instrument import Instrument

from drivers.errors import CommunicationError
from drivers.web_socket import SWITCHED, WebSocket, WebSocketError

__all__ = ["Answer", "UntrustedCertificateError", "WebInstrument"]

ATTEMPTS, PAUSE = 3, 0.2
"""How often a request is sent, and the time (s) before it is repeated."""
LONGEST_ANSWER = 1 << 20
LONGEST_TIMEOUT = 30.0
BUSY = (429, 500, 502, 503, 504)
#: Schemes with TLS, and of websockets.
SECURE, SOCKETS = ("https", "wss"), ("ws", "wss")
FORBIDDEN, NOT_FOUND, OK = (401, 403), 404, 200
FINGERPRINT = hashlib.sha256().digest_size
CHECK_SERVER = "Check that the fridge's software runs, that its interface is enabled, and address and port."
CHECK_KEY = "Check the key: it must exist in the fridge's software and allow reading."


class BusyServerError(HTTPException):
    """The server has no time for the request."""


class UntrustedError(Exception):
    """The certificate is not the one that is expected."""


class UntrustedCertificateError(CommunicationError):
    """The server's certificate is not trusted; nothing was sent."""


@dataclass(frozen=True)
class Answer:
    """The answer to a request.

    Attributes
    ----------
    data
        The JSON value; None if the server does not have what was asked for (404).
    time
        Time (s since 1970) at the server, as its answer says, or else that of this computer.

    """

    data: Any
    time: float


class WebInstrument(Instrument):
    """An instrument that answers JSON over HTTP.

    Parameters
    ----------
    name
        Of the instrument.
    address
        `http://host:port`, `https://host:port`, or `ws://…` and `wss://…` of a websocket; the port may be omitted.
    timeout
        Longest time (s) of one request.
    certificate
        SHA-256 fingerprint of the server's certificate, 64 hexadecimal digits, with or without colons.
    verify
        Whether the certificate is verified at all.

    Raises
    ------
    ValueError
        An argument cannot be used.

    """

    serves_many: ClassVar[bool] = True
    """Readers do not disturb each other: each request has its own connection (`drivers.capabilities.ServesMany`)."""

    #: HTTP status of a websocket that is refused for want of a key.
    refusals: ClassVar[tuple[int, ...]] = FORBIDDEN

    #: Port of each scheme that can be used.
    ports: ClassVar[Mapping[str, int]]

    on_message: Callable[[float], None] = staticmethod(lambda longest: None)
    """Called before each request with the longest time (s) that it may take."""

    now: Callable[[], float] = staticmethod(time.time)
    """The clock (s since 1970) of this computer."""

    @classmethod
    def reading_time(cls, integration_time: float, line_frequency: float) -> float:
        """That of a request (assumed; `drivers.capabilities.TimedReading`)."""
        del integration_time, line_frequency
        return 0.1

    def __init__(
        self,
        name: str,
        address: str,
        *,
        timeout: float = 5.0,
        certificate: str = "",
        verify: bool = True,
        **kwargs: Any,
    ) -> None:
        self._address = address
        self._scheme, self._host, self._port = self._parsed(name, address)
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= LONGEST_TIMEOUT:
            raise ValueError(
                f"{name}: timeout is {timeout!r}; allowed are times (s) above 0 and up to {LONGEST_TIMEOUT:g}"
            )
        if verify not in (True, False):
            raise ValueError(f"{name}: verify is {verify!r}; allowed are true and false")
        self._timeout = float(timeout)
        self._pinned = _fingerprint(name, certificate)
        self._verified = bool(verify) and not self._pinned
        super().__init__(name, **kwargs)
        trust = "fingerprint" if self._pinned else "verified" if self._verified else "not verified"
        self.metadata["certificate"] = trust if self._scheme in SECURE else f"none: {self._scheme.upper()}"
        if trust == "not verified" and self._scheme in SECURE:
            self.log.warning("%s: the certificate of the server is not verified (verify: false)", self.described)

    def _parsed(self, name: str, address: str) -> tuple[str, str, int]:
        try:
            parts = urlsplit(address)
            port = parts.port or self.ports.get(parts.scheme)
        except ValueError:
            parts, port = urlsplit(""), None
        plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
        if port is None or parts.scheme not in self.ports or not parts.hostname or not plain:
            forms = " or ".join(f"{scheme}://host:{usual}" for scheme, usual in self.ports.items())
            raise ValueError(f"{name}: address is {address!r}; allowed is {forms}, without a path and without a key")
        # The servers listen with IPv4 only. `localhost` is ::1 first, which takes seconds on Windows.
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
        return parts.scheme, host, port

    @property
    def has_socket(self) -> bool:
        """Whether its address is that of a websocket."""
        return self._scheme in SOCKETS

    @property
    def described(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self._address})"

    def fetch(self, path: str, query: Mapping[str, str], body: Any = None) -> Answer:
        """Request `path` and return the answer.

        Parameters
        ----------
        path
            Of the request.
        query
            Its parameters, which may have a key: they are in no message.
        body
            Sent as JSON with POST; None for GET.

        Raises
        ------
        CommunicationError
            There is no usable answer in three attempts, or the server refuses the request or its certificate differs.

        """
        return self._repeated(path, lambda: self._answered(path, query, body))

    def send(self, path: str, body: Any) -> Answer:
        """Send `body` to `path` once, and return the answer; raises as `fetch`, and may have been carried out then."""
        return self._repeated(path, lambda: self._answered(path, {}, body), attempts=1)

    def converse(self, path: str, query: Mapping[str, str], talk: Callable[[WebSocket], Any]) -> Answer:
        """Open a websocket at `path`, and return what `talk` returns, with the server's time of the opening.

        Parameters
        ----------
        path, query
            As of `fetch`.
        talk
            Sends and receives; it is called again where the connection breaks.

        Raises
        ------
        CommunicationError
            As `fetch`.

        """
        return self._repeated(path, lambda: self._conversed(path, query, talk))

    def _repeated(self, path: str, attempted: Callable[[], Answer], attempts: int = ATTEMPTS) -> Answer:
        """The first answer in so many `attempts`."""
        reason = ""
        for attempt in range(attempts):
            if attempt:
                self.log.warning("%s: repeating the request for %s: %s", self.described, path, reason)
                time.sleep(PAUSE)
            try:
                return attempted()
            except UntrustedError as error:
                raise UntrustedCertificateError(
                    self.described,
                    f"its certificate is not trusted: {error}.",
                    "Compare the fingerprint with that shown at the fridge's computer, then name it in init: "
                    "`certificate: <fingerprint>`.",
                ) from None
            except (OSError, HTTPException, WebSocketError, ValueError) as error:
                reason = str(error).rstrip(".") or type(error).__name__
        raise CommunicationError(self.described, f"no usable answer to a request for {path}: {reason}.", CHECK_SERVER)

    def unexpected(self, answer: object, path: str, expected: str) -> CommunicationError:
        """The error of an `answer` to the request for `path` that cannot be read."""
        return CommunicationError(
            self.described,
            f"answered {str(answer)[:80]!r} to a request for {path}; {expected} expected.",
            "Compare the version of the fridge's software with those that this driver was written for.",
        )

    def _answered(self, path: str, query: Mapping[str, str], body: Any) -> Answer:
        """One attempt of `fetch`."""
        target = f"{path}?{urlencode(query)}" if query else path
        with self._exchanged(target, body) as response:
            status, date = response.status, response.getheader("Date")
            text = response.read(LONGEST_ANSWER + 1)
        if status == NOT_FOUND:
            return Answer(None, self._time(date))
        self._require(status, OK, path)
        if len(text) > LONGEST_ANSWER:
            raise self.unexpected(text.decode("latin-1"), path, f"at most {LONGEST_ANSWER} bytes")
        try:
            return Answer(json.loads(text), self._time(date))
        except (ValueError, RecursionError):
            raise ValueError(f"it is no JSON: {text[:80].decode('latin-1')!r}") from None

    def _conversed(self, path: str, query: Mapping[str, str], talk: Callable[[WebSocket], Any]) -> Answer:
        """One attempt of `converse`."""
        target = f"{path}?{urlencode(query)}" if query else path
        host = f"[{self._host}]" if ":" in self._host else self._host
        with self._connected() as connection:
            opened = WebSocket(connection.sock, f"ws://{host}:{self._port}{target}", LONGEST_ANSWER)
            response = opened.open()
            self._require(response.status_code, SWITCHED, path, self.refusals)
            said = talk(opened)
            opened.close()
        return Answer(said, self._time(response.headers.get("Date")))

    def _require(self, status: int, expected: int, path: str, refusals: Container[int] = FORBIDDEN) -> None:
        """Raise the error of another HTTP `status` than the one that is `expected`."""
        if status == expected:
            return
        if status in BUSY and status not in refusals:
            raise BusyServerError(f"the server is busy or has failed (HTTP status {status})")
        if status in refusals:
            raise CommunicationError(self.described, f"refuses {path} (HTTP status {status}).", CHECK_KEY)
        raise CommunicationError(self.described, f"answers {path} with HTTP status {status}.", CHECK_SERVER)

    def _time(self, date: str | None) -> float:
        with suppress(TypeError, ValueError, OverflowError):
            return parsedate_to_datetime(date or "").timestamp()
        return self.now()

    @contextmanager
    def _exchanged(self, target: str, body: Any) -> Iterator[HTTPResponse]:
        """Send a request, and yield the response."""
        with self._connected() as connection:
            headers = {"Connection": "close", "Accept": "application/json"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            sent = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", target, sent, headers)
            yield connection.getresponse()

    @contextmanager
    def _connected(self) -> Iterator[HTTPConnection]:
        """A connection that ends at the latest after the timeout, also if a byte comes now and then."""
        self.on_message(2 * self._timeout)
        connection = self._connection(verified=self._verified)
        try:
            self._connect(connection)
            handle = connection.sock
            ending = threading.Timer(self._timeout, _shut, [handle])
            ending.daemon = True
            ending.start()
            try:
                yield connection
            finally:
                ending.cancel()
        finally:
            connection.close()

    def _connection(self, *, verified: bool) -> HTTPConnection:
        if self._scheme not in SECURE:
            return HTTPConnection(self._host, self._port, timeout=self._timeout)
        context = ssl.create_default_context()
        if not verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)

    def _connect(self, connection: HTTPConnection) -> None:
        """Connect, and refuse another certificate before anything is sent."""
        try:
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            found = self.fingerprint()
            shown = f"SHA-256 {found}" if found else "its fingerprint could not be read"
            raise UntrustedError(f"{error.verify_message}; {shown}") from error
        if self._pinned and self._scheme in SECURE and _digest(connection) != self._pinned:
            raise UntrustedError(f"SHA-256 {_digest(connection)} instead of {self._pinned}")

    def fingerprint(self) -> str:
        """SHA-256 fingerprint of the certificate that the server shows, trusted or not; empty if none can be read.

        No request is sent.
        """
        if self._scheme not in SECURE:
            return ""
        connection = self._connection(verified=False)
        try:
            connection.connect()
            return _digest(connection)
        except OSError:
            return ""
        finally:
            connection.close()


def _fingerprint(name: str, certificate: str) -> str:
    """`certificate` as hexadecimal digits; empty if there is none."""
    digits = str(certificate).removeprefix("sha256:").replace(":", "").lower()
    with suppress(ValueError):
        if not certificate or len(bytes.fromhex(digits)) == FINGERPRINT:
            return digits
    raise ValueError(
        f"{name}: certificate is {certificate!r}; allowed is a SHA-256 fingerprint, 64 hexadecimal digits (in quotes)"
    )


def _digest(connection: HTTPConnection) -> str:
    handle = connection.sock
    found = handle.getpeercert(binary_form=True) if isinstance(handle, ssl.SSLSocket) else None
    return hashlib.sha256(found or b"").hexdigest()


def _shut(handle: socket.socket) -> None:
    """End a connection; not by the method of `SSLSocket`, whose state another thread uses."""
    with suppress(OSError):  # it has ended
        socket.socket.shutdown(handle, socket.SHUT_RDWR)
