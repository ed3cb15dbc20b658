"""A front panel served at a TCP socket of this machine."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sim_instruments.panels.front_panel import FrontPanel


@contextmanager
def served(panel: FrontPanel, port: int = 0) -> Iterator[int]:
    """Serve `panel` at `port`, or a free one, and return it; all connections end with the context."""
    connections: list[socket.socket] = []

    class Client(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            connections.append(self.request)
            with suppress(OSError):
                for line in self.rfile:
                    panel.receive(line)
                    self.wfile.write(panel.drain())

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", port), Client) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
    for connection in connections:
        with suppress(OSError):  # its client has closed it
            connection.shutdown(socket.SHUT_RDWR)
