"""A twin of one Oxford Triton as a fixture, and its panel served at a TCP socket of this machine."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from qcodes.instrument import Instrument

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from sim_instruments.panels.front_panel import FrontPanel

INSTRUMENTS = {"triton": SimulatedInstrument("triton", ("TritonFridge",), (SimulatedRole("fridge", "thermometer"),))}


@pytest.fixture(name="twin")
def triton_twin() -> Iterator[Twin]:
    """The twin, just switched on."""
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=INSTRUMENTS) as found:
        yield found
        Instrument.close_all()


@contextmanager
def served(panel: FrontPanel) -> Iterator[int]:
    """Serve `panel` at a socket; returns its port."""

    class Client(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                panel.receive(line)
                self.wfile.write(panel.drain())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Client) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
