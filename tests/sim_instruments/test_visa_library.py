"""The twin as a VISA library, for unmodified PyVISA calls."""

import time
from pathlib import Path

import numpy as np
import pytest
import pyvisa
from bare_wire import Wire
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError
from pyvisa.resources import MessageBasedResource

from sim_instruments import ADDRESSES, SHIPPED_TRUTH, TruthError
from sim_instruments.panels.front_panel import command
from sim_instruments.panels.scpi import ScpiPanel
from sim_instruments.panels.scpi_values import Call, encode_values
from sim_instruments.visa import LabnisVisaLibrary


class TracePanel(ScpiPanel):
    identification = "Maker,Trace,1,1.0"
    resource = "GPIB{}::1::INSTR"

    @command(":TRACe?")
    def trace(self, call: Call) -> bytes:
        return encode_values(np.arange(10001), "REAL,64", swapped=True)

    @command(":SLOW?")
    def slow(self, call: Call) -> str:
        self.world.clock.sleep(7.0)
        return "late"


@pytest.fixture
def trace(twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch) -> Wire:
    """A session to a panel with a long trace in place of the lock-in's."""
    wire = Wire(ADDRESSES["lockin"])
    session = twin.sessions[wire.resource.session]
    monkeypatch.setattr(session, "device", TracePanel(twin.world))
    return wire


def test_all_five_instruments_are_listed(twin: LabnisVisaLibrary) -> None:
    assert set(pyvisa.ResourceManager(str(SHIPPED_TRUTH) + "@labnis").list_resources()) == set(ADDRESSES.values())


def test_plain_labnis_is_the_shipped_twin() -> None:
    manager = pyvisa.ResourceManager("@labnis")
    assert Path(manager.visalib.library_path) == SHIPPED_TRUTH


@pytest.mark.parametrize("address", ["GPIB0::8", "USB0::0x05E6::0x2450::04000001::INSTR"])
def test_short_addresses_are_understood(twin: LabnisVisaLibrary, address: str) -> None:
    assert Wire(address).ask("*IDN?")


@pytest.mark.parametrize("address", ["GPIB0::9::INSTR", "TCPIP0::elsewhere::inst0::INSTR", "ASRL1::INSTR"])
def test_an_address_where_nothing_answers_is_a_visa_error(twin: LabnisVisaLibrary, address: str) -> None:
    with pytest.raises(VisaIOError) as caught:
        Wire(address)
    assert caught.value.error_code == StatusCode.error_resource_not_found


def test_a_second_client_reads_the_bias_of_the_first(twin: LabnisVisaLibrary, bias: Wire) -> None:
    bias.send(":SOUR:VOLT 1e-3;:OUTP ON")
    other = Wire(ADDRESSES["bias"])
    assert float(other.ask(":SOUR:VOLT?")) == pytest.approx(1e-3)
    assert other.ask(":OUTP?") == "1"


def test_a_long_block_is_read_whole_and_fast(trace: Wire) -> None:
    best = min(_time_of_block(trace) for _ in range(5))
    assert best < 0.02  # byte by byte it takes 0.1 s


def _time_of_block(trace: Wire) -> float:
    started = time.perf_counter()
    values = trace.resource.query_binary_values("TRAC?", "d", container=np.array)
    elapsed = time.perf_counter() - started
    assert np.array_equal(values, np.arange(10001))
    return elapsed


def test_a_block_survives_line_feeds_inside_it(trace: Wire) -> None:
    trace.resource.read_termination = "\n"
    values = trace.resource.query_binary_values("TRAC?", "d", container=np.array)
    assert np.array_equal(values, np.arange(10001))


def test_reading_without_a_question_times_out_at_once_but_costs_the_timeout(
    twin: LabnisVisaLibrary, bias: Wire
) -> None:
    bias.resource.timeout = 30_000
    before, started = twin.clock.time(), time.perf_counter()
    with pytest.raises(VisaIOError) as caught:
        bias.resource.read()
    assert caught.value.error_code == StatusCode.error_timeout
    assert time.perf_counter() - started < 1
    assert twin.clock.time() - before == pytest.approx(30, abs=0.01)
    assert bias.ask("SYST:ERR?").startswith("-420")


def test_a_slow_answer_times_out_and_arrives_late(trace: Wire) -> None:
    trace.resource.timeout = 5000
    with pytest.raises(VisaIOError):
        trace.ask("SLOW?")
    assert trace.resource.read().strip() == "late"


def test_a_slow_answer_within_the_timeout_arrives(trace: Wire) -> None:
    trace.resource.timeout = 8000
    assert trace.ask("SLOW?") == "late"


def test_status_byte_shows_a_waiting_answer_without_a_message(bias: Wire) -> None:
    assert bias.resource.read_stb() == 0
    bias.send("*IDN?")
    assert bias.resource.read_stb() == 16
    bias.resource.read()
    assert bias.resource.stb == 0


def test_device_clear_discards_the_answer_and_not_the_settings(bias: Wire) -> None:
    bias.send(":SOUR:VOLT 1e-3;:SOUR:VOLT?")
    bias.resource.clear()
    assert bias.ask("*IDN?").startswith("KEITHLEY")
    assert float(bias.ask(":SOUR:VOLT?")) == pytest.approx(1e-3)
    assert bias.ask("SYST:ERR:COUN?") == "0"


def test_an_exclusive_lock_keeps_others_out(bias: Wire) -> None:
    other = Wire(ADDRESSES["bias"])
    with bias.resource.lock_context():
        assert bias.ask("*IDN?")
        with pytest.raises(VisaIOError) as caught:
            other.ask("*IDN?")
        assert caught.value.error_code == StatusCode.error_resource_locked
    assert other.ask("*IDN?")


def test_reset_restores_power_on_state_for_sessions_already_open(twin: LabnisVisaLibrary, bias: Wire) -> None:
    bias.send("*CLS;:SOUR:VOLT 1e-3;:OUTP ON")
    first = bias.ask(":READ?")
    twin.reset()
    assert bias.ask(":OUTP?;:SOUR:VOLT?;*ESR?") == "0;0.000000E+00;128"
    bias.send(":SOUR:VOLT 1e-3;:OUTP ON")
    bias.ask(":READ?")
    assert twin.clock.time() < 1
    assert first


def test_the_seed_decides_the_noise(twin: LabnisVisaLibrary, bias: Wire) -> None:
    def readings(seed: int) -> list[str]:
        twin.reset(seed)
        bias.send(":SOUR:VOLT 1e-4;:OUTP ON")
        return [bias.ask(":READ?") for _ in range(5)]

    assert readings(7) == readings(7)
    assert readings(7) != readings(8)


def test_a_stock_simulated_library_works_beside_ours(twin: LabnisVisaLibrary, bias: Wire) -> None:
    stock = pyvisa.ResourceManager("@sim")
    device = stock.open_resource(
        "USB0::0x1111::0x2222::0x1234::0::INSTR", read_termination="\n", write_termination="\n"
    )
    assert isinstance(device, MessageBasedResource)
    assert device.query("?IDN") == "LSG Serial #1234"
    assert bias.ask("*IDN?").startswith("KEITHLEY")
    assert type(stock.visalib.sessions[device.session]).__module__.startswith("pyvisa_sim")
    stock.close()


def test_a_wrong_truth_file_says_what_is_wrong(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(SHIPPED_TRUTH.read_text().replace("dynes: 1.0e-4", "dynes: many"))
    with pytest.raises(TruthError) as caught:
        pyvisa.ResourceManager(f"{wrong}@labnis")
    assert str(caught.value).startswith(f"{wrong}, line ")
    assert "junction.dynes" in str(caught.value)
    assert "Traceback" not in str(caught.value)
