"""`labnis discover`: what VISA finds, by identity, as lines of a station file."""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from drivers.models import MODELS, type_of
from labnis.station.lock import hold
from labnis.station.lock_names import lock_names_of_address
from sim_instruments.panels import ADDRESSES, PANELS
from tests.every_driver import OTHERS
from tests.run.bench import Commands, labnis, write_station  # noqa: F401  # labnis is a fixture


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """PyVISA library of the twin in the working folder."""
    write_station(tmp_path)
    monkeypatch.chdir(tmp_path)
    return f"{tmp_path / 'truth.yaml'}@labnis"


def test_the_lines_for_a_station_file_name_class_and_address(truth: str, labnis: Commands) -> None:  # noqa: F811
    answer = labnis(f"discover --visalib {truth}")
    assert answer.code == 0
    table, _, lines = answer.out.partition("\n\n")
    assert "LSCI,MODEL372,TWIN0005" in table
    instruments = YAML(typ="safe").load(lines)["instruments"]
    keithley = {"type": "drivers.keithley_2450.Keithley2450", "address": ADDRESSES["bias"]}
    assert instruments["keithley_2450"] == keithley
    assert len(instruments) == len(ADDRESSES)


def test_an_address_without_an_instrument_and_one_in_use_are_told(truth: str, labnis: Commands) -> None:  # noqa: F811
    with hold(lock_names_of_address(ADDRESSES["lockin"])):
        answer = labnis(f"discover TCPIP0::127.0.0.1::9::SOCKET --visalib {truth} --json")
    found = {one["address"]: one for one in json.loads(answer.out)["instruments"]}
    assert found["TCPIP0::127.0.0.1::9::SOCKET"]["problem"].startswith("no answer to *IDN?: ")
    assert found[ADDRESSES["lockin"]]["problem"].startswith("not asked: ")
    assert found[ADDRESSES["bias"]]["problem"] == ""


def test_a_library_that_does_not_exist_is_refused(labnis: Commands) -> None:  # noqa: F811
    answer = labnis("discover --visalib nowhere.so")
    assert (answer.code, answer.out) == (2, "")
    assert "nowhere.so" in answer.err and "'@py' needs no installation" in answer.err


def test_every_class_is_found_by_the_identity_of_its_panel() -> None:
    found = {kind.rpartition(".")[2]: kind for kind in MODELS.values()}
    wrong = {
        name: panel.identification
        for name, panel in PANELS.items()
        if name in found and type_of(panel.identification) != found[name]
    }
    assert wrong == {}
    assert {*OTHERS, "Keithley2450", "SR830", "KeysightN5222B", "KeysightN9030B", "LakeShore372"} <= {*found}
    assert type_of("") is None
    assert type_of("SOMEBODY,SR830,1,1") is None


ANSWERS = {
    b"\xff\xfe\x00\x01\n": "UnicodeDecodeError",
    b"\x1b[2J\x1b]0;gone\x07\n": "'\\\\x1b[2J",
    b"": "Timeout expired",
    b"\n": "it answers b'\\\\n'",
    b"LAB,ENDLESS" * 40000: "bytes without an end",
    b"SOMEBODY,CUT": "Timeout expired",
    b"SOMEBODY," + b"X" * 3000 + b",1,0\n": "",
}


class Answering(socketserver.StreamRequestHandler):
    """Answers a query with the server's answer, and another time every 0.2 s where it drips."""

    def handle(self) -> None:
        with suppress(OSError):
            self.rfile.readline()
            self.wfile.write(self.server.answer)  # type: ignore[attr-defined]  # set by the test
            while self.server.drips:  # type: ignore[attr-defined]  # as above
                time.sleep(0.2)
                self.wfile.write(b".")
            self.rfile.readline()


@contextmanager
def answering(answer: bytes, *, drips: bool = False) -> Iterator[str]:
    """Address of an instrument that answers nothing else."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads, server.block_on_close = True, False
        server.answer, server.drips = answer, drips  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"TCPIP0::127.0.0.1::{server.server_address[1]}::SOCKET"
        server.drips = False  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("answer", "problem"), ANSWERS.items())
def test_an_answer_that_is_no_identity_is_told_in_time(answer: bytes, problem: str, labnis: Commands) -> None:  # noqa: F811
    with answering(answer) as address:
        began = time.monotonic()
        said = labnis(f"discover {address} --visalib @py --json")
        assert time.monotonic() - began < 20  # PyVISA-py looks for instruments in the network, too
        shown = labnis(f"discover {address} --visalib @py")
    (found,) = [one for one in json.loads(said.out)["instruments"] if one["address"] == address]
    assert problem.replace("\\\\", "\\") in found["problem"] if problem else found["problem"] == ""
    assert len(found["identity"]) <= 200
    assert "\x1b" not in shown.out + shown.err


def test_an_answer_that_drips_is_no_answer(labnis: Commands) -> None:  # noqa: F811
    with answering(b"LAB", drips=True) as address:
        began = time.monotonic()
        said = labnis(f"discover {address} --visalib @py --json")
        assert time.monotonic() - began < 20
    (found,) = [one for one in json.loads(said.out)["instruments"] if one["address"] == address]
    assert "Timeout expired" in found["problem"]
