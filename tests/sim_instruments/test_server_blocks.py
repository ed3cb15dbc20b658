"""Blocks of definite length at the twin's sockets: the QDAC-II's lists, any byte, any packets, and what is refused."""

import struct
import time
from collections.abc import Iterator

import pytest
from bare_socket import Line
from qcodes.instrument import Instrument
from qcodes_contrib_drivers.drivers.QDevil.QDAC2 import QDac2

from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole
from sim_instruments.instruments import Setup
from sim_instruments.server.shared_twin import SharedTwin
from sim_instruments.server.sockets import TwinServer
from sim_instruments.world import load_truth


@pytest.fixture
def port() -> Iterator[int]:
    instruments = {"source": SimulatedInstrument("source", ("QDac2",), (SimulatedRole("bias", "bias", "ch04"),))}
    server = TwinServer(SharedTwin(load_truth(SHIPPED_TRUTH), setup=Setup(instruments)))
    with server.running():
        yield server.port
        Instrument.close_all()


def test_a_list_of_the_unmodified_contrib_driver(port: int) -> None:
    qdac = QDac2("qdac", f"TCPIP0::127.0.0.1::{port}::SOCKET", visalib="@py")
    qdac.timeout(5)
    dc_list = qdac.ch04.dc_list(voltages=[0, 0.1, 0.2], dwell_s=0.01)
    assert dc_list.values_V() == pytest.approx([0, 0.1, 0.2])
    dc_list.append([0.3])
    assert dc_list.points() == 4
    dc_list.start()
    time.sleep(0.2)
    assert qdac.ch04.dc_constant_V() == pytest.approx(0.3, abs=1e-5)
    assert qdac.errors() == '0, "No error"'


def block(*levels: float) -> bytes:
    data = struct.pack(f"<{len(levels)}f", *levels)
    return f"#{len(str(len(data)))}{len(data)}".encode() + data


@pytest.mark.parametrize("byte", [0x00, 0x09, 0x0A, 0x0D, 0x16, 0x20, 0x22, 0x2C, 0x3B, 0x7F, 0x85, 0xA0])
def test_any_byte_in_any_packets(port: int, byte: int) -> None:
    level = struct.unpack("<f", bytes([byte, byte, byte, 0x3E]))[0]
    message = b"sour4:dc:list:volt " + block(level, level) + b"\n"
    with Line(port) as line:
        for at in range(0, len(message), 5):
            line.socket.sendall(message[at : at + 5])
            time.sleep(0.002)
        assert [float(part) for part in line.ask("sour4:dc:list:volt?").split(",")] == pytest.approx([level] * 2)
        assert line.ask("syst:err:all?") == '0, "No error"'


def test_commands_follow_a_block_in_its_message(port: int) -> None:
    with Line(port) as line:
        line.socket.sendall(b"sour4:dc:list:volt " + block(0.25) + b";:sour5:dc:list:volt " + block(1, 2) + b"\r\n")
        assert line.ask("sour4:dc:list:volt?;:sour5:dc:list:volt?") == "0.25;1,2"


@pytest.mark.parametrize("parameter", [b"#15abcde", b"#14abcde", b"#x", block(float("nan"))])
def test_what_is_no_list_is_an_error_and_changes_nothing(port: int, parameter: bytes) -> None:
    with Line(port) as line:
        line.send("sour4:dc:list:volt 0.5")
        line.socket.sendall(b"sour4:dc:list:volt " + parameter + b"\n\n")
        assert line.ask("syst:err?").split(",")[0] in ("-161", "-222")
        assert line.ask("sour4:dc:list:volt?") == "0.5"


@pytest.mark.parametrize("head", [b"#800000400", b"#9999999999", b"#210\n"])
def test_an_unfinished_or_endless_block_is_refused(port: int, head: bytes) -> None:
    with Line(port) as line:
        line.socket.sendall(b"sour4:dc:list:volt " + head + b"\n")
        line.socket.shutdown(1)
        assert line.broken()
    with Line(port) as line:
        assert line.ask("sour4:dc:list:poin?") == "0"


def test_a_block_hides_no_other_protocol(port: int) -> None:
    with Line(port) as line:
        line.socket.sendall(b"sour4:dc:list:volt " + block(0.25) + b"\x16\n")
        assert line.broken()
