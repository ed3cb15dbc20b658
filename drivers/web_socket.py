"""Messages of a websocket (RFC 6455) over a socket that is connected already, TLS included.

The protocol is that of the library `websockets`; nothing runs in the background, and the socket's own timeout and end
are those of every message. A message may come in parts, and a JSON object in several messages.
"""

import json
import logging
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

__all__ = ["SWITCHED", "WebSocket", "WebSocketError"]

SWITCHED = 101
"""HTTP status of a handshake that succeeded."""

CHUNK = 1 << 16
#: Texts in quotes, complete or not, and braces outside of them.
PUNCTUATION = re.compile(r'"(?:[^"\\]|\\.|\\$)*(?:"|$)|[{}]', re.DOTALL)
#: The library would log the request, and the key in it.
QUIET = logging.getLogger(f"{__name__}.frames")
QUIET.setLevel(logging.CRITICAL + 1)


class WebSocketError(Exception):
    """The connection has ended, or what came is no message of a websocket."""


class WebSocket:
    """One connection.

    Parameters
    ----------
    handle
        Connected socket; it stays open.
    uri
        `ws://host:port/path?query`, also where the socket has TLS. No message has it.
    longest
        Most bytes of a message, and of the messages that make up one JSON object.

    """

    def __init__(self, handle: socket.socket, uri: str, longest: int) -> None:
        self._handle = handle
        self._protocol = ClientProtocol(parse_uri(uri), max_size=longest, logger=QUIET)
        self._longest = longest
        self._frames: list[Frame] = []
        self._text = ""

    def open(self) -> Response:
        """Ask for the websocket, and return the answer; it is one with another status than `SWITCHED` if refused.

        Raises
        ------
        WebSocketError, OSError
            There is no answer that can be read.

        """
        self._protocol.send_request(self._protocol.connect())
        self._flush()
        while True:
            for event in self._received():
                if isinstance(event, Response):
                    if event.status_code == SWITCHED and self._protocol.handshake_exc is not None:
                        raise WebSocketError(f"the handshake is wrong: {self._protocol.handshake_exc}")
                    return event
            if self._protocol.handshake_exc is not None:
                raise WebSocketError("it is no answer of a web server")

    def send(self, value: Any) -> None:
        """Send a JSON value in one message."""
        self._protocol.send_text(json.dumps(value).encode())
        self._flush()

    def receive(self) -> dict[str, Any]:
        """Return the next JSON object.

        Raises
        ------
        WebSocketError, OSError
            The connection has ended, or what came is no JSON.

        """
        while True:
            found, self._text = _first_object(self._text)
            if found is not None:
                return dict(found)
            self._text += self._message()
            if len(self._text) > self._longest:
                raise WebSocketError(f"it is longer than {self._longest} characters: {self._text[:80]!r}")

    def close(self) -> None:
        """Say that nothing more follows; without effect where the connection has ended."""
        with suppress(OSError):
            if self._protocol.state is State.OPEN:
                self._protocol.send_close()
            self._flush()

    def _message(self) -> str:
        """The next whole message."""
        parts: list[bytes] = []
        while True:
            while not self._frames:
                self._frames += [event for event in self._received() if isinstance(event, Frame)]
                if not self._frames and self._protocol.state is not State.OPEN:
                    raise WebSocketError(self._why_closed())
            frame = self._frames.pop(0)
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                parts.append(bytes(frame.data))
                if frame.fin:
                    break
        try:
            return b"".join(parts).decode()
        except UnicodeDecodeError as error:
            raise WebSocketError(f"it is no text: {b''.join(parts)[:80]!r}") from error

    def _received(self) -> Iterator[Any]:
        """What has come with the next bytes; they are answered as the protocol asks, a ping for instance."""
        found = self._handle.recv(CHUNK)
        if found:
            self._protocol.receive_data(found)
        else:
            self._protocol.receive_eof()
        events = self._protocol.events_received()
        with suppress(OSError):  # the other side may have ended the connection
            self._flush()
        if not found and not events and self._protocol.handshake_exc is None:
            raise WebSocketError(self._why_closed())
        return iter(events)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._handle.sendall(data)

    def _why_closed(self) -> str:
        closed = self._protocol.close_rcvd
        reason = f" ({closed.code} {closed.reason[:80]})".replace(" )", ")") if closed is not None else ""
        return f"the connection has ended{reason}"


def _first_object(text: str) -> tuple[Any, str]:
    """The first JSON object of a `text`, and what follows; None where it is not complete."""
    text = text.lstrip()
    if text[:1] not in ("", "{"):
        raise WebSocketError(f"it is no JSON object: {text[:80]!r}")
    depth = 0
    for found in PUNCTUATION.finditer(text):
        depth += {"{": 1, "}": -1}.get(found[0], 0)
        if not depth:
            try:
                return json.loads(text[: found.end()]), text[found.end() :]
            except (ValueError, RecursionError):
                raise WebSocketError(f"it is no JSON: {text[:80]!r}") from None
    return None, text
