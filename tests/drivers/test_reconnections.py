"""What is at the other end of a connection that was opened again: another instrument, or one that was switched off."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from qcodes.instrument import Instrument

from drivers.acquiring import acquire
from drivers.errors import CommunicationError, ReadingError, SettingError
from drivers.scpi import CheckedInstrument
from labnis.station import SystemClock
from labnis.station.bias.level import Level


class Source(socketserver.StreamRequestHandler):
    """A source that loses its connection at its next message with a level, if it is told to."""

    serial, level, breaks, in_between = "1", 0.0, 0, {}  # replaced by each test

    def handle(self) -> None:
        kind = type(self)
        with suppress(OSError):
            for line in self.rfile:
                message = line.decode().strip()
                if message.startswith("VOLT ") and kind.breaks:
                    kind.breaks -= 1
                    for name, value in kind.in_between.items():
                        setattr(kind, name, value)
                    return
                if message.startswith("VOLT "):
                    kind.level = float(message.removeprefix("VOLT ").removesuffix(";*OPC?"))
                answers = {"*IDN?": f"LAB,SOURCE,{kind.serial},1", "VOLT?": repr(kind.level)}
                self.wfile.write(answers.get(message, "1").encode() + b"\n")


class Driver(CheckedInstrument):
    def set_level(self, voltage: float) -> None:
        if self.ask(f"VOLT {voltage:.10g};*OPC?") != "1":
            raise AssertionError

    def level(self) -> float:
        return self.ask_reading("VOLT?")[0]


@pytest.fixture
def level() -> Iterator[Level]:
    Source.serial, Source.level, Source.breaks, Source.in_between = "1", 0.0, 0, {}
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Source) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        address = f"TCPIP0::127.0.0.1::{server.server_address[1]}::SOCKET"
        driver = Driver("source", address, visalib="@py", terminator="\n", timeout=0.3)
        driver.connect_message()
        made = Level(driver, "source", tolerance=1e-6)
        made.write(0.1)
        yield made
        Instrument.close_all()
        server.shutdown()
        thread.join()


def test_a_level_that_was_not_carried_out_is_written_again(level: Level) -> None:
    Source.breaks = 1
    level.write(0.2)
    assert Source.level == level.value == 0.2


def test_another_instrument_at_the_address_is_written_nothing(level: Level) -> None:
    Source.breaks, Source.in_between = 1, {"serial": "2", "level": 0.1}
    with pytest.raises(CommunicationError, match=r"does not answer \*IDN\? as 'LAB,SOURCE,1,1' any more.*SOURCE,2,1"):
        level.write(0.2)
    assert (Source.level, level.value) == (0.1, None)


def test_a_source_that_was_switched_off_meanwhile_is_told(level: Level) -> None:
    Source.breaks, Source.in_between = 1, {"level": 0.0}
    with pytest.raises(SettingError, match="it was switched off and on"):
        level.write(0.2)
    assert (Source.level, level.value) == (0.0, None)


def test_a_connection_that_breaks_twice_in_a_row_leaves_the_level(level: Level) -> None:
    Source.breaks = 2
    with pytest.raises(CommunicationError, match="source"):
        level.write(0.2)
    assert Source.level == 0.1
    assert level.value is None
    assert level.known() == 0.1


def test_a_trace_that_ends_with_the_connection_is_measured_again() -> None:
    """Its beginning has come: the driver tells it as a trace that is not complete."""

    class Analyzer:
        reconnections, starts = 0, 0

        def duration(self) -> float:
            return 0.0

        def start(self) -> None:
            self.starts += 1

        def finished(self) -> bool:
            return True

        def fetch(self) -> int:
            if self.starts == 1:
                raise ReadingError("vna", "the trace ended before it was complete.")
            return 7

        def abort(self) -> None:
            self.reconnections += 1

    analyzer = Analyzer()
    assert acquire(analyzer, "vna", SystemClock(), lambda _: None) == 7
    assert analyzer.starts == 2
