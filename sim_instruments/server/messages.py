"""What a client may send to a socket of the server: short lines of text, with blocks, and no other protocol.

The sockets have no password, and any program of this machine may connect, a web browser included: a page from the
internet can make it send to 127.0.0.1. A browser begins with the request line of HTTP or with a TLS record. The server
executes nothing of such a connection.
"""

import re
from collections.abc import Iterator
from io import BufferedIOBase

from sim_instruments.panels.block_data import as_text, end_of_blocks

__all__ = ["LONGEST_MESSAGE", "LONGEST_WITH_BLOCKS", "ForeignProtocolError", "received"]

LONGEST_MESSAGE = 1 << 16
"""Bytes of a message, its line feed included; SCPI and requests to the twin are far shorter."""

LONGEST_WITH_BLOCKS = 1 << 21
"""Bytes of a message that has blocks of definite length; half a million numbers in single precision."""

HTTP = re.compile(r"\sHTTP/\d[.\d]*\s*$", re.IGNORECASE | re.ASCII)
# Text has none of them but tab, line feed, form feed and carriage return; TLS, HTTP/2 and STUN do.
CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class ForeignProtocolError(Exception):
    """The client sends something else than lines of text; its connection has to be closed."""


def received(stream: BufferedIOBase, *, blocks: bool = False) -> Iterator[bytes]:
    """Messages of a client in order, without their line feed, until it closes its side.

    Parameters
    ----------
    stream
        What the client sends. Only one message of it is in memory at once.
    blocks
        Whether messages may have blocks of definite length, whose bytes have any value.

    Raises
    ------
    ForeignProtocolError
        The next line is too long, binary or of HTTP, or the last one has no end. No part of it was returned.

    """
    while (line := _message(stream, blocks=blocks)).endswith(b"\n"):
        text = as_text(line) if blocks else line.decode("latin-1")
        if HTTP.search(text):
            raise ForeignProtocolError("the client uses HTTP")
        if CONTROL_CHARACTER.search(text):
            raise ForeignProtocolError("the client sends binary data")
        yield line[:-1]
    if len(line) >= LONGEST_MESSAGE:
        raise ForeignProtocolError(f"no line feed within {len(line)} bytes; a message is a line of text")
    if line:
        raise ForeignProtocolError(f"the connection ended after {len(line)} bytes of an unfinished message")


def _message(stream: BufferedIOBase, *, blocks: bool) -> bytes:
    """The next message with its line feed, which is not one within a block; without it if the client sends no more."""
    line = stream.readline(LONGEST_MESSAGE)
    while blocks and line.endswith(b"\n") and (end := end_of_blocks(line)) >= len(line):
        if end >= LONGEST_WITH_BLOCKS:
            raise ForeignProtocolError(f"a block is longer than {LONGEST_WITH_BLOCKS} bytes")
        line += stream.read(end - len(line))
        if not (rest := stream.readline(LONGEST_MESSAGE)):
            raise ForeignProtocolError(f"the connection ended after {len(line)} bytes of an unfinished block")
        line += rest
    return line
