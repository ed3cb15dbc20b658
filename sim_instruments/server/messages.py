"""What a client may send to a socket of the server: short lines of text, and no other protocol.

The sockets have no password, and any program of this machine may connect, a web browser included: a page from the
internet can make it send to 127.0.0.1. A browser begins with the request line of HTTP or with a TLS record. The server
executes nothing of such a connection.
"""

import re
from collections.abc import Iterator
from io import BufferedIOBase

__all__ = ["LONGEST_MESSAGE", "ForeignProtocolError", "received"]

LONGEST_MESSAGE = 1 << 16
"""Bytes of a message, its line feed included; SCPI and requests to the twin are far shorter."""

HTTP = re.compile(rb"\sHTTP/\d[.\d]*\s*$", re.IGNORECASE)
# Text has none of them but tab, line feed, form feed and carriage return; TLS, HTTP/2 and STUN do.
CONTROL_CHARACTER = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


class ForeignProtocolError(Exception):
    """The client sends something else than lines of text; its connection has to be closed."""


def received(stream: BufferedIOBase) -> Iterator[bytes]:
    """Messages of a client in order, without their line feed, until it closes its side.

    Parameters
    ----------
    stream
        What the client sends. At most `LONGEST_MESSAGE` bytes of it are in memory at once.

    Raises
    ------
    ForeignProtocolError
        The next line is too long, binary or of HTTP, or the last one has no end. No part of it was returned.

    """
    while (line := stream.readline(LONGEST_MESSAGE)).endswith(b"\n"):
        if HTTP.search(line):
            raise ForeignProtocolError("the client uses HTTP")
        if CONTROL_CHARACTER.search(line):
            raise ForeignProtocolError("the client sends binary data")
        yield line[:-1]
    if len(line) == LONGEST_MESSAGE:
        raise ForeignProtocolError(f"no line feed within {LONGEST_MESSAGE} bytes; a message is a line of text")
    if line:
        raise ForeignProtocolError(f"the connection ended after {len(line)} bytes of an unfinished message")
