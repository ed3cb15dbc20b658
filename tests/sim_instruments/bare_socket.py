"""A bare TCP connection to the twin server, for tests of every byte."""

import socket
from types import TracebackType
from typing import Self


def refused(port: int) -> bool:
    """Whether a new connection is turned away."""
    try:
        with Line(port) as line:
            return line.broken()
    except ConnectionError:
        return True


class Line:
    """One connection; a read that gets nothing within 5 s is a TimeoutError."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._stream = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()
        self.socket.close()

    def send(self, *messages: str) -> None:
        self.socket.sendall(b"".join(message.encode() + b"\n" for message in messages))

    def raw_line(self) -> bytes:
        """Bytes through the next line feed; fewer where the connection ended."""
        return self._stream.readline()

    def ask(self, *messages: str) -> str:
        """Send all messages, and return the next line that arrives."""
        self.send(*messages)
        return self.raw_line().decode().rstrip("\r\n")

    def broken(self) -> bool:
        """Whether the other side ends the connection, politely or not, before it says anything more."""
        try:
            return self._stream.readline() == b""
        except ConnectionError:
            return True
