"""The twin as a server: any program opens it, instruments work at once, and clients do not affect each other."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import pyvisa
from bare_socket import Line
from pymeasure.instruments.keithley import Keithley2450 as PymeasureKeithley2450
from qcodes.instrument import Instrument
from qcodes.instrument_drivers.Keithley import Keithley2450 as QcodesKeithley2450
from qcodes.instrument_drivers.Keysight import KeysightN5222B as QcodesN5222B
from qcodes.instrument_drivers.Lakeshore import LakeshoreModel372
from qcodes.instrument_drivers.stanford_research import SR830 as QcodesSR830  # noqa: N811

from drivers.errors import CommunicationError
from drivers.keithley_2450 import Keithley2450
from drivers.keysight_n5222b import KeysightN5222B
from drivers.keysight_n9030b import KeysightN9030B
from drivers.lakeshore_372 import LakeShore372
from drivers.scpi import CheckedInstrument
from drivers.sr830 import SR830
from labnis.station.connecting import is_simulated
from sim_instruments import (
    ADDRESSES,
    SHIPPED_TRUTH,
    SimulatedClock,
    load_truth,
)
from sim_instruments.panels import PANELS
from sim_instruments.server import (
    ControlError,
    ServerProcess,
    SourcePoint,
    addresses,
    bias_trajectory,
    control,
    largest_rate,
    launched,
    read_log,
)
from sim_instruments.world import World
from tests.acquiring import acquired

pytestmark = pytest.mark.filterwarnings("ignore::qcodes.utils.QCoDeSDeprecationWarning")

PORTS = {role: offset for offset, role in enumerate(ADDRESSES)}
DRIVERS: dict[str, type[CheckedInstrument]] = {
    "bias": Keithley2450,
    "lockin": SR830,
    "analyzer": KeysightN9030B,
    "vna": KeysightN5222B,
    "fridge": LakeShore372,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for all tests that leave it running."""
    with launched(log=tmp_path_factory.mktemp("server") / "commands.jsonl") as process:
        yield process


@pytest.fixture(autouse=True)
def close_instruments() -> Iterator[None]:
    yield
    Instrument.close_all()


@pytest.fixture
def world() -> World:
    """The same truth, to compare readings with."""
    return World(load_truth(SHIPPED_TRUTH), SimulatedClock())


def line(server: ServerProcess, role: str) -> Line:
    return Line(server.port + PORTS[role])


# --- programs that open it ----------------------------------------------------------------------------------------


def test_it_announces_the_addresses_that_its_port_implies(server: ServerProcess) -> None:
    assert server.addresses == addresses(server.port)
    assert server.addresses["vna"] == f"TCPIP0::127.0.0.1::{server.port + 3}::SOCKET"


@pytest.mark.skipif(not Path("/proc/sys/net").exists(), reason="only Linux says which ports it gives to clients")
def test_free_ports_are_not_among_those_of_clients(server: ServerProcess) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert server.port < first


@pytest.mark.parametrize("role", ADDRESSES)
def test_labnis_drivers_open_it_and_can_tell_that_it_is_a_twin(server: ServerProcess, role: str) -> None:
    instrument = DRIVERS[role]("it", server.addresses[role], visalib="@py")
    assert is_simulated(instrument.get_idn())
    instrument.snapshot(update=False)
    assert instrument.next_error() is None


def test_a_serial_number_of_a_maker_is_no_twin() -> None:
    assert not is_simulated({"vendor": "KEITHLEY INSTRUMENTS", "model": "2450", "serial": "04412345"})
    assert not is_simulated({"serial": None})


def test_labnis_drivers_read_the_device(server: ServerProcess, world: World) -> None:
    bias = Keithley2450("bias", server.addresses["bias"], visalib="@py")
    bias.prepare(maximum_voltage=2e-3, maximum_current=1e-6, compliance=5e-6, integration_time=0.02)
    bias.set_level(1e-3)
    bias.output_on()
    bias.read()
    current = float(world.device_state(1e-3).current)
    assert bias.read().current == pytest.approx(current, rel=1e-2)
    fridge = LakeShore372("fridge", server.addresses["fridge"], visalib="@py")
    assert fridge.temperature() == pytest.approx(world.truth.fridge.mixing_chamber_temperature, rel=0.02)
    lockin = SR830("lockin", server.addresses["lockin"], visalib="@py")
    lockin.prepare(amplitude=0.01, frequency=77.0, time_constant=1e-3, sensitivity=0.5)
    assert abs(lockin.read()) < 0.5
    bias.set_level(0.0)
    bias.output_off()


def test_labnis_drivers_read_whole_traces(server: ServerProcess) -> None:
    vna = KeysightN5222B("vna", server.addresses["vna"], visalib="@py")
    vna.prepare(center=4.7e9, span=20e6, points=1001, power=-30.0, if_bandwidth=100e3, averages=1)
    assert acquired(vna).shape == (1001,)
    analyzer = KeysightN9030B("analyzer", server.addresses["analyzer"], visalib="@py")
    analyzer.prepare(center=4.7e9, span=20e6, points=1001, resolution_bandwidth=1e6, sweep_time=0.01, averages=1)
    assert acquired(analyzer).shape == (1001,)


def test_binary_traces_arrive_whole_although_line_feeds_are_among_their_bytes(server: ServerProcess) -> None:
    session = pyvisa.ResourceManager("@py").open_resource(server.addresses["vna"], timeout=10_000)
    assert isinstance(session, pyvisa.resources.MessageBasedResource)
    session.read_termination = session.write_termination = "\n"
    session.write("*RST;:CALC:PAR:DEF 'trace',S11;:CALC:PAR:SEL 'trace'")
    session.write(":SENS:SWE:POIN 1001;:SENS:BAND 100e3;:SENS:SWE:MODE SING")
    assert session.query("*OPC?") == "1"
    session.write(":FORM:DATA REAL,64;:FORM:BORD SWAP")
    binary = session.query_binary_values(":CALC:DATA? SDATA", "d", container=np.array)
    session.write(":FORM:DATA ASC")
    text = np.array(session.query_ascii_values(":CALC:DATA? SDATA"))
    assert b"\n" in binary.tobytes()
    assert binary.shape == (2002,)
    np.testing.assert_allclose(binary, text, rtol=1e-9)
    session.close()


def test_qcodes_drivers_open_it(server: ServerProcess) -> None:
    smu = QcodesKeithley2450("smu", server.addresses["bias"], visalib="@py")
    smu.source_function("voltage")
    smu.source.voltage(1e-4)
    assert smu.source.voltage() == pytest.approx(1e-4)
    smu.source.voltage(0)
    bridge = LakeshoreModel372("bridge", server.addresses["fridge"], visalib="@py")
    assert bridge.ch03.temperature() == pytest.approx(3.9, rel=0.05)
    lockin = QcodesSR830("lockin", server.addresses["lockin"], visalib="@py", terminator="\n")
    lockin.time_constant(30e-3)
    assert lockin.time_constant() == 30e-3
    vna = QcodesN5222B("vna", server.addresses["vna"], visalib="@py")
    vna.points(201)
    assert vna.points() == 201


def test_pymeasure_drivers_open_it(server: ServerProcess) -> None:
    smu = PymeasureKeithley2450(
        server.addresses["bias"], visa_library="@py", read_termination="\n", write_termination="\n"
    )
    smu.source_voltage = 2e-4
    assert smu.source_voltage == pytest.approx(2e-4)
    smu.source_voltage = 0
    smu.adapter.close()


# --- clients beside each other ------------------------------------------------------------------------------------


def test_state_survives_the_client_that_set_it(server: ServerProcess) -> None:
    with line(server, "lockin") as first:
        first.send("SLVL 0.120")
        assert float(first.ask("SLVL?")) == pytest.approx(0.12)
    with line(server, "lockin") as second:
        assert float(second.ask("SLVL?")) == pytest.approx(0.12)


def test_half_messages_of_two_clients_are_not_mixed(server: ServerProcess) -> None:
    with line(server, "lockin") as first, line(server, "lockin") as second:
        first.socket.sendall(b"FREQ 1")
        assert second.ask("FREQ 50", "HARM?") == "1"
        first.socket.sendall(b"23\n")
        assert float(first.ask("FREQ?")) == pytest.approx(123)
        assert first.ask("*ESR? 5") == "0"


def test_a_client_that_dies_in_mid_message_changes_nothing(server: ServerProcess) -> None:
    with line(server, "bias") as survivor:
        dying = line(server, "bias")
        dying.socket.sendall(b":SOUR:VOLT 0.005")
        dying.close()
        assert float(survivor.ask(":SOUR:VOLT?")) == 0
        assert survivor.ask(":SYST:ERR:COUN?") == "0"


def test_a_client_that_never_reads_its_answers_does_not_block_others(server: ServerProcess) -> None:
    with line(server, "bias") as silent, line(server, "bias") as other:
        silent.send(*["*IDN?"] * 100)
        assert other.ask("*LANG?") == "SCPI"


def test_the_source_answers_while_the_network_analyzer_sweeps() -> None:
    with launched() as server, line(server, "vna") as vna, line(server, "bias") as bias:
        vna.send("*RST;:SENS:SWE:TIME 60;:SENS:SWE:MODE SING;*OPC?")
        with line(server, "vna") as waiting:
            # One instrument takes one message at a time: from the beginning of the sweep nothing is answered.
            waiting.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                for _ in range(100):
                    waiting.ask("*IDN?")
            for _ in range(50):
                assert bias.ask("*LANG?") == "SCPI"
            with pytest.raises(TimeoutError):
                waiting.socket.recv(1)


def test_instruments_may_work_faster_than_time() -> None:
    with launched(speed=100.0) as server, line(server, "vna") as vna:
        started = time.monotonic()
        assert vna.ask("*RST;:SENS:SWE:TIME 30;:SENS:SWE:MODE SING;*OPC?") == "1"
        assert 0.3 <= time.monotonic() - started < 3


# --- its end ------------------------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_its_ports_are_free_again(number: signal.Signals) -> None:
    with launched() as server, line(server, "bias") as client:
        assert client.ask("*LANG?") == "SCPI"
        server.process.send_signal(number)
        assert server.process.wait(10) == 0
    with launched(port=server.port) as again:
        assert again.port == server.port


def test_a_port_in_use_is_refused_by_name(server: ServerProcess, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ControlError, match="before it was ready"), launched(port=server.port):
        pass
    assert f"port {server.port} of 127.0.0.1 cannot be used" in capfd.readouterr().err


@pytest.mark.faults
def test_it_ends_with_the_process_that_launched_it(tmp_path: Path) -> None:
    script = (
        "import os, sys\nfrom sim_instruments.server import launched\n"
        "with launched() as server:\n    print(server.port, flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        client = Line(int(parent.stdout.readline()))
        parent.kill()
    assert client.broken()
    client.close()


def test_only_this_machines_loopback_is_served(server: ServerProcess) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5)


# --- errors of drivers --------------------------------------------------------------------------------------------


@pytest.mark.faults
def test_drivers_whose_instrument_is_gone_say_so_and_do_not_hang() -> None:
    with launched() as server:
        instruments = [kind(role, server.addresses[role], visalib="@py", timeout=0.2) for role, kind in DRIVERS.items()]
        server.process.kill()
        server.process.wait()
    for instrument in instruments:
        with pytest.raises(CommunicationError, match=r"127\.0\.0\.1"):
            instrument.ask("*IDN?")
        with pytest.raises(CommunicationError):
            for _ in range(3):  # the first write after the end still finds a socket that takes it
                instrument.write("*CLS")
    analyzer = instruments[2]
    assert isinstance(analyzer, KeysightN9030B)
    started = time.monotonic()
    analyzer.timeout(0.2)
    with suppress(OSError):
        analyzer.device_clear()  # PyVISA-py's own clear would not return
    assert time.monotonic() - started < 2


# --- the log ------------------------------------------------------------------------------------------------------


def test_the_log_has_the_messages_of_a_killed_client_with_their_times(tmp_path: Path) -> None:
    log = tmp_path / "commands.jsonl"
    levels = [1e-4 * step for step in range(11)]
    script = (
        "import os, signal, sys\nfrom bare_socket import Line\nclient = Line(int(sys.argv[1]))\n"
        "client.send(':OUTP ON')\n"
        "for level in sys.argv[2:]:\n    client.ask(f':SOUR:VOLT {level}', ':SOUR:VOLT?')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    here = str(Path(__file__).parent)
    with launched(log=log) as server:
        before = time.monotonic()
        client = [sys.executable, "-c", script, str(server.port), *map(str, levels)]
        assert subprocess.run(client, check=False, env={**os.environ, "PYTHONPATH": here}).returncode == -signal.SIGKILL
        after = time.monotonic()
        assert control(server.port, do="source") == {"level": pytest.approx(1e-3), "output": True}
        entries = read_log(log)
    trajectory = bias_trajectory(entries)
    assert [point.level for point in trajectory if point.output] == pytest.approx(levels)
    assert trajectory[0][1:] == (0.0, False)
    assert all(before < point.time < after for point in trajectory[1:])
    # Usually all of it is within one window of 0.1 s: then the rate is the whole way over that window.
    took = max(trajectory[-1].time - trajectory[1].time, 0.1)
    assert 0.99e-3 / took < largest_rate(trajectory) < 1.01e-3 / 0.1
    assert [entry.text for entry in entries if entry.direction == "in"][:2] == [":OUTP ON", ":SOUR:VOLT 0.0"]
    assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)


def test_writes_of_the_driver_arrive_as_far_apart_as_they_were_made(tmp_path: Path) -> None:
    log = tmp_path / "commands.jsonl"
    gap = 0.012  # s; a socket that gathers small writes would bunch these
    with launched(log=log) as server:
        source = Keithley2450("smu", server.addresses["bias"], visalib="@py")
        for step in range(1, 21):
            source.set_level(1e-4 * step)
            ready = time.monotonic() + gap
            while time.monotonic() < ready:
                pass
    times = np.array([point.time for point in bias_trajectory(read_log(log))[1:]])
    assert len(times) == 20
    assert np.diff(times).min() >= gap


def test_the_log_of_a_killed_server_is_readable(tmp_path: Path) -> None:
    log = tmp_path / "commands.jsonl"
    with launched(log=log) as server:
        with line(server, "bias") as client:
            client.ask(":SOUR:VOLT 0.001", ":SOUR:VOLT?")
        server.process.kill()
        server.process.wait()
    with log.open("a", encoding="utf-8") as file:
        file.write('{"time": 12.5, "wall')  # as a full disk or a power cut would leave it
    assert bias_trajectory(read_log(log))[-1].level == pytest.approx(1e-3)


def test_traces_are_summarised_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "commands.jsonl"
    with launched(log=log, speed=100.0) as server:
        session = pyvisa.ResourceManager("@py").open_resource(server.addresses["analyzer"], timeout=10_000)
        assert isinstance(session, pyvisa.resources.MessageBasedResource)
        session.read_termination = session.write_termination = "\n"
        session.write(":INIT:CONT OFF;:FORM REAL,64;:FORM:BORD SWAP")
        assert len(session.query_binary_values(":READ:SAN1?", "d")) == 2 * 1001
        session.close()
    (trace,) = [entry for entry in read_log(log) if entry.instrument == "analyzer" and entry.direction == "out"]
    assert trace.text.startswith(f"<{len('#516016') + 16016} bytes b'#516016")


def trajectory(*points: tuple[float, float]) -> list[SourcePoint]:
    return [SourcePoint(time, level, output=True) for time, level in points]


def test_rate_of_a_staircase_counts_every_step_in_a_window() -> None:
    # Steps of 1 mV every 50 ms: a closed window of 100 ms can hold three of them.
    stairs = trajectory(*[(0.05 * step, 1e-3 * step) for step in range(20)])
    assert largest_rate(stairs, window=0.1 + 1e-9) == pytest.approx(0.03)
    assert largest_rate(stairs, window=0.09) == pytest.approx(2e-3 / 0.09)


def test_rate_of_moves_there_and_back_adds_up() -> None:
    assert largest_rate(trajectory((0.0, 0.0), (1.0, 2e-3), (1.05, 0.0))) == pytest.approx(0.04)


def test_rate_counts_switching_the_output_but_not_what_is_set_behind_it() -> None:
    points = [SourcePoint(0, 0.0, False), SourcePoint(1, 5e-3, False), SourcePoint(2, 5e-3, True)]
    assert largest_rate(points[:2]) == 0
    assert largest_rate(points) == pytest.approx(0.05)


def test_every_panel_carries_a_twins_serial_number() -> None:
    serials = [
        next(part for part in re.split("[,:]", panel.identification) if "TWIN" in part).strip()
        for panel in set(PANELS.values())
        if panel.identification  # some have none
    ]
    assert len(set(serials)) == len(serials)
    assert all(is_simulated({"serial": serial}) for serial in serials)
