"""The server's end of a websocket, on a connection whose opening request was read by `http.server`.

The protocol is that of the library `websockets`. The faults are those of `sim_instruments.server.web.WebFaults`.
"""

import json
import logging
import threading
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from sim_instruments.server.web import WebServer

__all__ = ["converse"]

OPENED = 101
POLL = 0.02
"""Time (s) after which a server that ends is noticed."""

PIECE = 37
"""Bytes of a message of a split answer."""

QUIET = logging.getLogger(f"{__name__}.frames")
QUIET.setLevel(logging.CRITICAL + 1)


def converse(request: BaseHTTPRequestHandler, web: "WebServer", stopping: threading.Event) -> None:
    """Answer the opening that `request` has read, and then each message, until either side ends the connection."""
    protocol = ServerProtocol(logger=QUIET)
    lines = [request.requestline, *(f"{name}: {value}" for name, value in request.headers.items()), "", ""]
    protocol.receive_data("\r\n".join(lines).encode())
    (opening,) = protocol.events_received()
    assert isinstance(opening, Request)  # noqa: S101  # for mypy: nothing else comes first
    web.requests.append(request.path)
    status = 503 if web.faults.busy > 0 else web.opened(request.path)
    web.faults.busy = max(web.faults.busy - 1, 0)
    response = protocol.accept(opening) if status == OPENED else protocol.reject(status, "")
    if "Date" in response.headers:
        del response.headers["Date"]
    if not web.faults.dateless:
        response.headers["Date"] = formatdate(web.time, usegmt=True)
    protocol.send_response(response)
    _flush(request, protocol)
    if response.status_code == OPENED:
        _talk(request, web, protocol, stopping)


def _talk(
    request: BaseHTTPRequestHandler, web: "WebServer", protocol: ServerProtocol, stopping: threading.Event
) -> None:
    request.connection.settimeout(POLL)
    while not stopping.is_set():
        try:
            received = request.connection.recv(1 << 16)
        except TimeoutError:
            continue
        if not received:
            return
        protocol.receive_data(received)
        for event in protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                message = bytes(event.data).decode()
                web.messages.append(message)
                web.on_request(message)
                if web.faults.dropped > 0:
                    web.faults.dropped -= 1
                    return
                for text in _answers(web, request.path, message):
                    if stopping.wait(web.faults.slow):
                        return
                    protocol.send_text(text)
                    _flush(request, protocol)
        _flush(request, protocol)
        if protocol.close_expected():
            return


def _answers(web: "WebServer", target: str, message: str) -> Iterator[bytes]:
    """The messages that are sent after a `message`, faults included."""
    faults = web.faults
    if faults.silent:
        return
    with web.turn:
        replies = [json.dumps(reply).encode() for reply in web.replies(target, message)]
    if faults.answer is not None:
        replies = [faults.answer]
    if faults.chatty:
        others: list[object] = [
            {"status": "NOTIFICATION", "event": "notification", "data": {"title": "Compressor"}},
            {"id": "0123-4567", "status": "SUCCEEDED", "data": {"name": "mapper.bf.flow"}},
        ]
        replies = [json.dumps(other).encode() for other in others] + replies
    for reply in replies:
        step = 1 if faults.slow else PIECE if faults.split else max(len(reply), 1)
        yield from (reply[at : at + step] for at in range(0, max(len(reply), 1), step))


def _flush(request: BaseHTTPRequestHandler, protocol: ServerProtocol) -> None:
    for data in protocol.data_to_send():
        if data:
            request.connection.sendall(data)
