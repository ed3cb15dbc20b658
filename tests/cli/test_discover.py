"""`labnis discover`: what VISA finds, by identity, as lines of a station file."""

import io
import json
import re
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pyvisa
from ruamel.yaml import YAML

from drivers.models import MODELS, type_of
from labnis.station import FoundInstrument, check_station, load_station, station_lines
from labnis.station.lock import hold
from labnis.station.lock_names import lock_names_of_address
from sim_instruments import Twin, open_twin
from sim_instruments.panels import ADDRESSES, PANELS
from sim_instruments.server.fridge_web import BlueforsWeb, ControllerWeb
from sim_instruments.server.web import WebServer
from sim_instruments.visa import LabnisVisaLibrary
from tests.drivers.test_bluefors_control_driver import CERTIFICATE, FINGERPRINT, KEY
from tests.run.bench import Commands, command, labnis, write_station  # noqa: F401  # labnis is a fixture
from tests.served_panel import served
from tests.shipped_twin import shipped_twin  # noqa: F401  # a fixture
from tests.test_house_rules import DRIVERS, instruments_of
from tests.triton_twin import INSTRUMENTS as TRITON

NOWHERE = "http://127.0.0.1:9"


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
    assert instruments["lakeshore_372"]["init"] == {"channel": 1}


SHORT = """\
  wiring: {series_resistance: 2000.0, amplifiers: {preamplifier: {gain: 1.0e+7}}}
  limits: {maximum_bias: 6.0e-3, maximum_step: 0.1e-3, ramp_rate: 5.0e-3, compliance: 5.0e-6}
"""
BLUEFORS = ("drivers.bluefors_control.BlueforsControl", "drivers.bluefors_controller.BlueforsController")
GS200 = FoundInstrument("GPIB0::30::INSTR", "", "drivers.yokogawa_gs200.YokogawaGS200")


@pytest.mark.parametrize("kind", sorted({*MODELS.values(), *BLUEFORS}))
def test_the_lines_are_those_of_a_station(kind: str, tmp_path: Path) -> None:
    """With wiring and limits alone; a line that is a comment is one after it was uncommented."""
    path, address = tmp_path / "station.yaml", "http://10.0.0.1" if kind in BLUEFORS else "GPIB0::1::INSTR"
    found = FoundInstrument(address, "", kind)
    for others in ([], [GS200]):
        lines = station_lines([*others, found], "@py")
        if not others and "    # bias: NAME" in "".join(lines):
            lines = station_lines([found, GS200], "@py")
        text = "\n".join(lines) + "\n" + SHORT
        if "sim928" in kind:  # its levels have steps of 1 mV
            text = text.replace("maximum_step: 0.1e-3, ramp_rate: 5.0e-3", "maximum_step: 1.0e-3, ramp_rate: 0.1")
        for line in re.findall(r"^    # (current: .*)", text, re.MULTILINE):
            text = text.replace(f"# {line}", line)
        if "yokogawa_gs200" in text and "    current" not in text:
            text = re.sub(r"    bias: yokogawa_gs200\n    # bias", "    bias", text)
        path.write_text(text, encoding="utf-8")
        check_station(load_station(path))
        assert kind in {one["type"] for one in load_station(path).instruments.values()}
        assert load_station(path).visalib == "@py"


def test_instruments_with_channels_are_named_with_one() -> None:
    sources = ["keithley_2600b.Keithley2600B", "qdac2.QDac2", "sim928.SIM928", "keysight_b29xx.KeysightB29xx"]
    found = [FoundInstrument(f"GPIB0::{at}::INSTR", "", f"drivers.{kind}") for at, kind in enumerate(sources)]
    lines = station_lines(found)
    assert lines[lines.index("  roles:") + 1 :] == [
        "    bias: {instrument: keithley_2600b, channel: smua}   # smua or smub, where the model has it",
        "    # bias: {instrument: qdac2, channel: ch01}   # ch01 to ch24, where the model has it",
        "    # bias: {instrument: sim928, channel: port1}   # port1 to port9, where the model has it",
        "    # bias: keysight_b29xx",
        "  # wiring: and limits: are needed, too (docs/station.md)",
    ]
    assert "    init: {channel: 1}   # this channel by default, see docs/instruments.md" in lines


def test_a_station_needs_a_source(tmp_path: Path) -> None:
    lines = station_lines([FoundInstrument("GPIB0::1::INSTR", "", "drivers.sr830.SR830")])
    assert lines[-3:] == [
        "    # bias: NAME   # every station has a bias source, which none of these is",
        "    lockin: {instrument: sr830, amplifier: preamplifier}   # V/A: wiring: amplifiers: {preamplifier: "
        "{gain: 1.0e+7}}",
        "  # wiring: and limits: are needed, too (docs/station.md)",
    ]
    assert station_lines([]) == []


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
    kinds = {
        kind.__name__: f"drivers.{module}.{kind.__name__}" for module in DRIVERS for kind in instruments_of(module)
    }
    expected = {name: kinds[name] for name, panel in PANELS.items() if name in kinds and panel.identification}
    assert set(expected.values()) <= set(MODELS.values())
    assert {name: type_of(PANELS[name].identification) for name in expected} == expected
    assert set(MODELS.values()) <= set(kinds.values())


@pytest.mark.parametrize(
    ("identity", "kind"),
    [
        ("Keysight Technologies,N9030A,MY1,A.1", "KeysightN9030B"),
        ("Agilent Technologies,N9020A,MY1,A.1", "KeysightN9020B"),
        ("Keysight Technologies,B2901BL,MY1,1", "KeysightB29xx"),
        ("Keysight Technologies,34470A,MY1,1", "Keysight34465A"),
        ("Rohde&Schwarz,ZNB8-4Port,1,3", "RohdeSchwarzZNB"),
        ("Rohde&Schwarz,FSVA3030,1,2", "RohdeSchwarzFSV"),
        ("KEITHLEY INSTRUMENTS INC., MODEL 2635B, 1, 3.2", "Keithley2600B"),
        ("IDN:OXFORD INSTRUMENTS:TRITON 400:0001:1.2", "TritonFridge"),
        ("", None),
        ("IDN:", None),
        ("SOMEBODY,SR830,1,1", None),
        ("Keysight Technologies,B2962A,MY1,1", None),
        ("Keysight Technologies,N5230A,MY1,1", None),
    ],
)
def test_models_of_a_family_have_its_class(identity: str, kind: str | None) -> None:
    found = type_of(identity)
    assert (found and found.rpartition(".")[2]) == kind


def lines_of(answer: Any) -> dict[str, Any]:
    """The section of a station file that is printed below the table."""
    found: dict[str, Any] = YAML(typ="safe").load(answer.out.partition("\n\n")[2])["instruments"]
    return found


@pytest.fixture
def web(twin: LabnisVisaLibrary, request: pytest.FixtureRequest) -> Any:
    kind, options = request.param
    with kind(twin.world, **options).running() as found:
        yield found


@pytest.mark.parametrize(
    ("web", "kind"),
    [
        ((BlueforsWeb, {}), "drivers.bluefors_control.BlueforsControl"),
        ((ControllerWeb, {}), "drivers.bluefors_controller.BlueforsController"),
    ],
    indirect=["web"],
)
def test_the_software_of_a_fridge_is_found(
    web: WebServer,
    kind: str,
    truth: str,
    labnis: Commands,  # noqa: F811
) -> None:
    answer = labnis(f"discover {web.address} --visalib {truth}")
    assert answer.code == 0
    channel = {"BlueforsControl": "tmixing", "BlueforsController": 6}[kind.rpartition(".")[2]]
    expected = {"type": kind, "address": web.address, "init": {"channel": channel}}
    assert lines_of(answer)[kind.split(".")[1]] == expected
    assert "Bluefors," in answer.out


@pytest.mark.parametrize("web", [(BlueforsWeb, {"certificate": CERTIFICATE})], indirect=True)
def test_a_certificate_of_its_own_is_printed_and_no_key_is_sent(
    web: BlueforsWeb,
    truth: str,
    labnis: Commands,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BLUEFORS_API_KEY", KEY)
    answer = labnis(f"discover {web.address} --visalib {truth}")
    found = lines_of(answer)["bluefors_control"]
    assert found["init"] == {"channel": "tmixing", "certificate": FINGERPRINT.replace(":", "").lower()}
    assert "compare the certificate" in answer.out
    assert web.requests
    assert [path for path in web.requests if KEY in path] == []
    web.key = KEY
    answer = labnis(f"discover {web.address} --visalib {truth} --json")
    (refused,) = [one for one in json.loads(answer.out)["instruments"] if one["address"] == web.address]
    assert "refuses /system/" in refused["problem"]
    assert refused["type"] is None


@pytest.mark.parametrize("certificate", [None, CERTIFICATE])
def test_the_websocket_of_a_fridge_is_found(
    certificate: Path | None,
    truth: str,
    labnis: Commands,  # noqa: F811
    twin: LabnisVisaLibrary,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BLUEFORS_API_KEY", KEY)
    with BlueforsWeb(twin.world, certificate=certificate).running() as web:
        found = lines_of(labnis(f"discover {web.socket_address} --visalib {truth}"))["bluefors_control"]
        trusted = {"certificate": FINGERPRINT.replace(":", "").lower()} if certificate else {}
        kind = {"type": "drivers.bluefors_control.BlueforsControl", "address": web.socket_address}
        assert found == kind | {"init": {"channel": "tmixing"} | trusted}
        sent = [path for path in web.requests if KEY in path]
        assert len(sent) == (0 if certificate else len(web.requests))


def test_a_triton_is_found_at_its_socket(labnis: Commands, tmp_path: Path) -> None:  # noqa: F811
    write_station(tmp_path)
    with (
        open_twin(tmp_path / "truth.yaml", seed=0, wiring={}, instruments=TRITON) as twin,
        served(panel_of(twin)) as port,
    ):
        address = f"TCPIP0::127.0.0.1::{port}::SOCKET"
        answer = labnis(f"discover {address} --visalib @py")
    expected = {"type": "drivers.oxford_triton.TritonFridge", "address": address, "init": {"channel": "MC"}}
    assert lines_of(answer)["oxford_triton"] == expected


def panel_of(twin: Twin) -> Any:
    library = pyvisa.ResourceManager(twin.visalib).visalib
    assert isinstance(library, LabnisVisaLibrary)
    return library.panels["triton"]


@pytest.mark.parametrize("address", [NOWHERE, "http://127.0.0.1:9/api?key=1", "https://", "ws://127.0.0.1:9", "wss://"])
def test_an_address_where_no_fridge_answers_is_told(address: str, truth: str, labnis: Commands) -> None:  # noqa: F811
    answer = labnis(f"discover {address} --visalib {truth} --json")
    assert answer.code == 0
    (found,) = [one for one in json.loads(answer.out)["instruments"] if one["address"] == address]
    assert found["problem"].startswith("no identity: ")
    assert (found["identity"], found["type"]) == ("", None)


def test_a_missing_package_of_pyvisa_py_is_no_warning(tmp_path: Path) -> None:
    answer = command("discover --visalib @py", tmp_path)
    assert (answer.code, answer.err) == (0, "")


class Terminal(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "options", "asked"),
    [(f"{NOWHERE}\n", "", True), ("\n", "", True), ("", "--json", False), ("", NOWHERE, False)],
)
def test_on_a_terminal_it_asks_for_the_fridge(
    typed: str,
    options: str,
    asked: bool,
    truth: str,
    labnis: Commands,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    answer = labnis(f"discover --visalib {truth} {options}")
    assert answer.code == 0, answer.err
    assert ("address of the fridge's control software, or Enter:" in answer.out + answer.err) == asked
    assert (NOWHERE in answer.out) == (NOWHERE in typed + options)


def test_in_a_pipe_it_asks_nothing(truth: str, labnis: Commands, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("sys.stdin", io.StringIO(NOWHERE))
    answer = labnis(f"discover --visalib {truth}")
    assert (answer.code, "control software" in answer.out + answer.err) == (0, False)


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
