"""Answers without an end: the bytes that are read are bounded, and the error says what is wrong."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from qcodes.instrument import Instrument

from drivers import bounded_read, trace_analyzer
from drivers.errors import CommunicationError, InstrumentError
from drivers.line import LONGEST_ANSWER
from drivers.scpi import CheckedInstrument
from drivers.trace_analyzer import TraceAnalyzer

IDENTITY = b"LAB,ENDLESS,1,0\n"


class Endless(socketserver.StreamRequestHandler):
    """Answers `*IDN?`; sends digits to any other query until the client has gone, or a cut answer to `CUT?`.

    To `DRIPS?` and `BLOCK?` they come one by one.
    """

    sent = 0

    def handle(self) -> None:
        with suppress(OSError):
            for line in self.rfile:
                self.answer(line.strip())

    def answer(self, query: bytes) -> None:
        if query == b"*IDN?":
            self.wfile.write(IDENTITY)
        elif query == b"CUT?":
            self.wfile.write(b"1.23")
        elif query == b"TRACE?":
            self.wfile.write(b"#216" + b"\0" * 16 + b"\n")
        elif query in (b"DRIPS?", b"BLOCK?"):
            self.wfile.write(b"#580000")
            while True:
                time.sleep(0.02)
                self.wfile.write(b"1")
        else:
            for _ in range(64):
                type(self).sent += self.wfile.write(b"1" * LONGEST_ANSWER)


@pytest.fixture
def address() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Endless) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"TCPIP0::127.0.0.1::{server.server_address[1]}::SOCKET"
        server.shutdown()
        thread.join()
    Instrument.close_all()


def test_an_endless_answer_is_read_to_a_bound_and_reported(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    instrument = CheckedInstrument("endless", address, visalib="@py", terminator="\n", timeout=0.3)
    instrument.connect_message()
    received = 0
    library = instrument.visa_handle.visalib
    read = library.read

    def counted(session: int, count: int) -> tuple[bytes, object]:
        nonlocal received
        data, status = read(session, count)
        received += len(data)
        return data, status

    monkeypatch.setattr(library, "read", counted)
    with pytest.raises(CommunicationError, match=r"endless .*'LIST\?': it has 65536 bytes and no end"):
        instrument.ask("LIST?")
    assert received <= LONGEST_ANSWER


def test_an_answer_that_is_cut_off_is_no_answer(address: str) -> None:
    instrument = CheckedInstrument("cut", address, visalib="@py", terminator="\n", timeout=0.2)
    instrument.connect_message()
    with pytest.raises(CommunicationError, match=r"cut .*'CUT\?'"):
        instrument.ask_number("CUT?")
    assert instrument.ask("*IDN?") == IDENTITY.decode().strip()  # the line is in step again


def test_a_message_without_its_terminator_is_not_complete(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """On a bus that marks the end of a message, a cut answer arrives at once."""
    instrument = CheckedInstrument("marked", address, visalib="@py", terminator="\n", timeout=0.2)
    instrument.connect_message()
    monkeypatch.setattr(instrument.visa_handle, "read_bytes", lambda *_args, **_options: b"1.23")
    with pytest.raises(CommunicationError, match=r"marked .*'1\.23' is not complete: the terminator '\\n' is missing"):
        instrument.ask_number("VOLT?")


def test_a_trace_has_the_length_that_was_asked_for(address: str) -> None:
    instrument = TraceAnalyzer("traced", address, visalib="@py", terminator="\n", timeout=0.2)
    instrument.connect_message()
    assert instrument.ask_block("TRACE?", 2, "<f8").shape == (2,)


@pytest.mark.parametrize("query", ["DRIPS?", "BLOCK?"])
def test_an_answer_that_comes_byte_by_byte_ends_in_time(
    address: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyVISA-py waits for the next byte for the whole timeout each time."""
    monkeypatch.setattr(bounded_read, "LONGEST", 0.1)
    monkeypatch.setattr(trace_analyzer, "TIMEOUT_MARGIN", 0.2)
    instrument = TraceAnalyzer("drips", address, visalib="@py", terminator="\n", timeout=0.2)
    instrument.connect_message()
    began = time.monotonic()
    with pytest.raises(InstrumentError, match=r"drips .*Timeout expired"):
        instrument.ask(query) if query == "DRIPS?" else instrument.ask_block(query, 10**4, "<f8")
    assert instrument.ask("*IDN?") == IDENTITY.decode().strip()  # on a new connection
    assert instrument.reconnections == 1
    assert time.monotonic() - began < 20
