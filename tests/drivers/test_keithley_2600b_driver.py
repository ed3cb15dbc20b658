"""The Keithley 2600B as the bias source: right numbers, and an error wherever a setting would be another one."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qcodes.instrument.sims as qcodes_simulations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyvisa.resources import MessageBasedResource
from qcodes.instrument import Instrument

from drivers.capabilities import BufferedSweep
from drivers.errors import (
    CommunicationError,
    ComplianceError,
    InstrumentError,
    OverloadError,
    RejectedCommandError,
    SettingError,
)
from drivers.keithley_2600b import Keithley2600B
from drivers.protection import CoarselyLimited, CurrentSourcing
from drivers.roles import BiasSource
from labnis.station import load_station, open_station
from labnis.station.role_check import missing_members
from labnis.station.simulated import simulated_instruments
from sim_instruments import SHIPPED_TRUTH, Twin, open_twin
from sim_instruments.panels.keithley_2600b import Keithley2600BPanel
from tests.keithley_2600b_twin import (
    keithley_2600b_twin,  # noqa: F401  # a fixture
    plain_wire,  # noqa: F401  # a fixture
    simulated_panel,  # noqa: F401  # a fixture
)


@pytest.fixture
def instrument(twin: Twin, panel: Keithley2600BPanel) -> Keithley2600B:
    return Keithley2600B("smu", twin.addresses["smu"], visalib=twin.visalib)


@pytest.fixture
def smu(instrument: Keithley2600B) -> Any:
    return instrument.smua


def prepare(
    smu: Any, maximum: float = 0.9, current: float = 1e-6, compliance: float = 1e-5, time: float = 0.02
) -> None:
    smu.prepare(maximum_voltage=maximum, maximum_current=current, compliance=compliance, integration_time=time)


def left_behind(panel: Keithley2600BPanel, *chunks: str) -> None:
    for chunk in chunks:
        panel.receive(chunk.encode())
    assert not panel.errors, panel.errors


# --- the role --------------------------------------------------------------------------------------------------------


def test_both_channels_fill_the_role(instrument: Keithley2600B) -> None:
    for channel in (instrument.smua, instrument.smub):
        for protocol in (BiasSource, CurrentSourcing, CoarselyLimited):
            assert missing_members(channel, protocol) == []


@pytest.mark.parametrize("twin", ["Keithley2601B", "Keithley2611B", "Keithley2635B"], indirect=True)
def test_a_model_with_one_channel_has_one(twin: Twin, panel: Keithley2600BPanel) -> None:
    found = Keithley2600B("smu", twin.addresses["smu"], visalib=twin.visalib)
    assert list(found.submodules) == ["smua"]
    prepare(found.smua)
    found.snapshot(update=True)
    assert not panel.errors
    assert found.get_idn()["model"] == panel.model


@pytest.mark.parametrize("twin", ["Keithley2602A", "Keithley2612B", "Keithley2634B", "Keithley2636B"], indirect=True)
def test_ranges_of_the_models(twin: Twin) -> None:
    smu = Keithley2600B("smu", twin.addresses["smu"], visalib=twin.visalib).smua
    low_voltage = smu.model.startswith("260")
    prepare(smu, maximum=4.0, current=2e-9, compliance=1e-12)
    lowest = 1e-8 if smu.model.startswith("263") else 1e-7
    assert (smu.sourcerange_v(), smu.measurerange_i()) == (6.0 if low_voltage else 20.0, pytest.approx(lowest))
    assert smu.limiti() == smu.smallest_compliance
    with pytest.raises(SettingError, match="its largest range"):
        prepare(smu, maximum=300.0)
    with pytest.raises(SettingError, match=r"smua\.measure\.rangei has no range for 5"):
        prepare(smu, current=5.0)


def test_connecting_changes_nothing(panel: Keithley2600BPanel, twin: Twin) -> None:
    left_behind(panel, "smua.source.levelv = 0.5 smua.source.output = 1 format.asciiprecision = 2")
    before = dict(panel.channels["smua"].state)
    found = Keithley2600B("smu", twin.addresses["smu"], visalib=twin.visalib)
    assert panel.channels["smua"].state == before
    assert found.smua.level() == 0.5


def test_readings_are_those_of_the_device(smu: Any, panel: Keithley2600BPanel, twin: Twin) -> None:
    prepare(smu)
    smu.output_on()
    for level in (0.0, 0.3, 0.9, -0.9):
        smu.set_level(level)
        twin.clock.sleep(0.1)
        reading = smu.read()
        true = float(panel.world.present_state().current[0]) + panel.world.truth.noise.current_offset
        assert reading.voltage == pytest.approx(level, abs=1e-5)
        assert reading.current == pytest.approx(true, abs=1e-10)
        assert (reading.voltage_range, reading.current_range) == (1.0, pytest.approx(1e-6))
        assert smu.level() == level
    smu.set_level(0.0)
    smu.output_off()
    assert smu.output_enabled() is False
    assert not panel.errors


# --- what somebody has left behind -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "chunk",
    [
        "smua.measure.rel.leveli = 1e-6 smua.measure.rel.enablei = 1",
        "smua.measure.rel.levelv = 0.1 smua.measure.rel.enablev = 1",
        "smua.measure.filter.count = 50 smua.measure.filter.type = 0 smua.measure.filter.enable = 1",
        "smua.measure.count = 10",
        "smua.measure.autozero = 0",
        "smua.measure.delay = 3",
        "smua.measure.nplc = 0.001",
        "smua.measure.autorangei = 2",
        "smua.measure.rangei = 1",
        "smua.source.rangev = 40",
        "smua.source.limitp = 1e-9",
        "smua.source.delay = 2",
        "smua.source.highc = 1",
        "smua.source.settling = 3",
        "smua.source.offmode = smua.OUTPUT_ZERO smua.source.offfunc = smua.OUTPUT_DCAMPS",
        "smua.source.func = smua.OUTPUT_DCAMPS",
        "smua.sense = smua.SENSE_REMOTE",
        "format.data = format.REAL32 format.byteorder = format.BIGENDIAN format.asciiprecision = 1",
        "smua.nvbuffer1.appendmode = 1",
        "localnode.prompts = 0 display.settext('mine')",
    ],
)
def test_prepare_from_every_state(smu: Any, panel: Keithley2600BPanel, twin: Twin, chunk: str) -> None:
    left_behind(panel, chunk)
    prepare(smu)
    left = panel.channels["smua"].state
    wanted = {
        "measure.rel.enablei": 0, "measure.rel.enablev": 0, "measure.filter.enable": 0, "measure.count": 1,
        "measure.autozero": 2, "measure.delay": 0, "measure.nplc": 1, "measure.autorangei": 0, "measure.rangei": 1e-6,
        "source.rangev": 1, "source.autorangev": 0, "source.limitp": 0, "source.limiti": 1e-5, "source.delay": 0,
        "source.highc": 0, "source.settling": 0, "source.offmode": 2, "source.offfunc": 1, "source.func": 1, "sense": 0,
        "source.output": 0, "source.levelv": 0,
    }  # fmt: skip
    assert {name: left[name] for name in wanted} == pytest.approx(wanted)
    smu.output_on()
    smu.set_level(0.9)
    before = twin.clock.time()
    reading = smu.read()
    assert twin.clock.time() - before < 0.1
    true = float(panel.world.present_state().current[0]) + panel.world.truth.noise.current_offset
    assert (reading.voltage, reading.current) == (pytest.approx(0.9, abs=1e-4), pytest.approx(true, abs=1e-10))
    assert smu.volt() == pytest.approx(0.9, abs=1e-4)  # of QCoDeS, with enough digits


@pytest.mark.parametrize(
    ("chunk", "match"),
    [
        ("smua.source.func = 0 smua.source.output = 1", "sources current at smua with its output on"),
        ("smua.sense = 1 smua.source.output = 1", r"output on and smua\.sense is not SENSE_LOCAL.*four_wire"),
        ("smua.source.highc = 1 smua.source.output = 1", r"output on and smua\.source\.highc is not 0"),
        (
            "smua.source.rangev = 0.1 smua.source.levelv = 0.05 smua.source.output = 1",
            r"is on at 0\.05 V in the range 0\.1 V, which does not include 0\.9 V",
        ),
    ],
)
def test_what_would_disturb_a_live_output_is_refused(
    smu: Any, panel: Keithley2600BPanel, chunk: str, match: str
) -> None:
    left_behind(panel, chunk)
    with pytest.raises(SettingError, match=match):
        prepare(smu)
    assert panel.channels["smua"].state["source.output"] == 1.0


SWEEP = "smua.source.output = 1 smua.trigger.source.action = 1 smua.trigger.source.listv({0.01, 0.02, 0.03})"


def test_a_sweep_that_runs_and_the_level_that_it_leaves_are_told(
    smu: Any, panel: Keithley2600BPanel, twin: Twin
) -> None:
    left_behind(panel, SWEEP, "smua.trigger.count = 3 smua.source.delay = 1 smua.trigger.endsweep.action = 1")
    left_behind(panel, "smua.trigger.initiate()")
    twin.clock.sleep(1.5)
    with pytest.raises(SettingError, match="runs a sweep of its trigger model at smua with the output on"):
        prepare(smu)
    twin.clock.sleep(10.0)
    with pytest.raises(SettingError, match=r"output on at 0\.03 V, and smua\.source\.levelv is 0 V: a sweep has left"):
        prepare(smu)
    assert panel.world.source.level == pytest.approx(0.03)
    smu.set_level(0.03)  # as the message says
    prepare(smu, 0.05)
    assert smu.read().voltage == pytest.approx(0.03, abs=1e-4)


def test_a_sweep_without_output_is_ended(smu: Any, panel: Keithley2600BPanel) -> None:
    left_behind(panel, SWEEP.replace("output = 1", "output = 0"), "smua.trigger.count = 1000 smua.trigger.initiate()")
    assert panel.channels["smua"].sweep.running
    prepare(smu)
    assert not panel.channels["smua"].sweep.running
    smu.output_on()
    assert smu.read().voltage == 0.0


def test_without_a_preparation_a_level_ends_a_sweep(smu: Any, panel: Keithley2600BPanel, twin: Twin) -> None:
    left_behind(panel, SWEEP, "smua.trigger.count = 3 smua.source.delay = 1 smua.trigger.initiate()")
    smu.set_level(0.0)  # as a guardian does
    twin.clock.sleep(10.0)
    assert panel.world.source.level == 0.0


def test_a_live_output_keeps_level_and_range(smu: Any, panel: Keithley2600BPanel) -> None:
    left_behind(panel, "smua.source.levelv = 0.5 smua.source.output = 1 smua.source.rangev = 6")
    prepare(smu, maximum=0.01)
    state = panel.channels["smua"].state
    assert (state["source.levelv"], state["source.rangev"], state["source.output"]) == (0.5, 6.0, 1.0)
    assert smu.read().voltage_range == 6.0


def test_low_precision_does_not_round_a_level(smu: Any, panel: Keithley2600BPanel) -> None:
    left_behind(panel, "format.asciiprecision = 1 smua.source.levelv = 0.0014")
    assert smu.level() == 0.0014
    assert smu.parent.ask("smua.source.levelv") == "1e-03"  # what QCoDeS's parameters read


def test_long_integration_is_averaged(smu: Any, panel: Keithley2600BPanel) -> None:
    prepare(smu, time=1.2)
    state = panel.channels["smua"].state
    assert (state["measure.nplc"], state["measure.filter.count"], state["measure.filter.enable"]) == (20.0, 3.0, 1.0)
    smu.read()
    with pytest.raises(SettingError, match="integration time of 60 s is not possible"):
        prepare(smu, time=60.0)


def test_four_wires_and_normal_off_mode(twin: Twin, panel: Keithley2600BPanel) -> None:
    found = Keithley2600B("smu", twin.addresses["smu"], four_wire=True, off_mode="normal", visalib=twin.visalib)
    prepare(found.smua)
    state = panel.channels["smua"].state
    assert (state["sense"], state["source.offmode"]) == (1.0, 0.0)
    with pytest.raises(ValueError, match="off_mode"):
        Keithley2600B("other", twin.addresses["smu"], off_mode="zero", visalib=twin.visalib)


def test_a_current_source_that_was_left_can_be_brought_to_zero(smu: Any, panel: Keithley2600BPanel) -> None:
    left_behind(panel, "smua.source.func = 0 smua.source.leveli = 1e-6 smua.source.output = 1")
    assert smu.sources_current() is True
    assert smu.current_level() == 1e-6
    smu.set_current(5e-7)
    assert smu.current_level() == 5e-7
    assert smu.sources_current() is True


# --- errors ----------------------------------------------------------------------------------------------------------


def test_compliance_and_overload_are_errors_not_data(smu: Any, panel: Keithley2600BPanel) -> None:
    prepare(smu, maximum=6.0, compliance=1e-7, current=1e-5)
    smu.output_on()
    smu.set_level(5.0)
    with pytest.raises(ComplianceError, match="is at its limit"):
        smu.read()
    prepare(smu, maximum=6.0, compliance=1e-3, current=1e-8)
    with pytest.raises(OverloadError, match=r"over-range \(marker 9\.91e\+37\)|not a number \(marker 9\.91e\+37\)"):
        smu.read()
    assert not panel.errors


def test_a_refused_level_is_told_and_not_repeated(smu: Any, panel: Keithley2600BPanel) -> None:
    prepare(smu)
    smu.output_on()
    with pytest.raises(SettingError, match=r"smua\.source\.levelv reads 0 where 5 was requested.*5005, Value too big"):
        smu.set_level(5.0)
    for level in (float("nan"), float("inf")):
        with pytest.raises(SettingError, match="nothing was sent"):
            smu.set_level(level)
    with pytest.raises(SettingError, match="1101, Parameter Too Big"):
        smu.set_level(300.0)


def test_an_ignored_setting_is_found(smu: Any, panel: Keithley2600BPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = panel.execute
    for ignored in (
        "smua.source.limiti = ",
        "smua.measure.rel.enablei = ",
        "smua.measure.rangei = ",
        "smua.source.off",
    ):
        left_behind(panel, "smua.measure.rel.enablei = 1 smua.measure.rangei = 1 smua.source.limiti = 1")
        left_behind(panel, "smua.source.offmode = 1 smua.source.offfunc = 0")

        def execute(message: str, ignored: str = ignored) -> list[bytes]:
            kept = message[message.index("print") :] if message.startswith(ignored) else message
            return honest(kept)

        monkeypatch.setattr(panel, "execute", execute)
        with pytest.raises(SettingError, match=f"{ignored.partition(' ')[0]}.* where .* was requested"):
            prepare(smu)
        monkeypatch.setattr(panel, "execute", honest)


def test_a_reset_in_mid_run_is_found(smu: Any, panel: Keithley2600BPanel) -> None:
    for reset in ("reset()", "smua.reset()"):
        prepare(smu)
        smu.output_on()
        smu.set_level(0.5)
        left_behind(panel, reset)
        with pytest.raises(SettingError, match=r"smua\.measure\.autorangei is on.*prepare the measurement again"):
            smu.read()


def test_another_range_in_mid_run_is_found(smu: Any, panel: Keithley2600BPanel) -> None:
    prepare(smu)
    left_behind(panel, "smua.measure.rangei = 1e-3")
    with pytest.raises(SettingError, match=r"range 0\.001 A; 1e-06 A was prepared"):
        smu.read()


def test_older_errors_are_logged_and_newer_ones_raised(
    smu: Any, panel: Keithley2600BPanel, caplog: pytest.LogCaptureFixture
) -> None:
    panel.receive(b"nonsense(")
    prepare(smu)
    assert "-285, TSP Syntax error" in caplog.text
    panel.receive(b"smua.source.limiti = 0")
    with pytest.raises(RejectedCommandError, match="1102, Parameter Too Small"):
        smu.parent.check_errors()


# --- the line --------------------------------------------------------------------------------------------------------

ENDLESS = b"while smua.measure.i() < 1 do smua.source.levelv = 0.001 end"


def test_the_script_of_a_client_that_has_died_is_ended(
    twin: Twin, panel: Keithley2600BPanel, wire: MessageBasedResource
) -> None:
    panel.receive(b"smua.source.output = 1")
    panel.receive(ENDLESS)
    smu = Keithley2600B("smu", twin.addresses["smu"], visalib=twin.visalib).smua
    assert (smu.level(), smu.output_enabled()) == (0.001, True)  # as it was: labnis ramps it to 0
    assert "User Abort" in str(smu.parent.next_error())


def test_a_script_that_a_device_clear_does_not_end_is_told(
    twin: Twin, panel: Keithley2600BPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.receive(ENDLESS)
    monkeypatch.setattr(panel, "device_clear", lambda: None)
    with pytest.raises(CommunicationError, match=r"does not answer, also after a device clear.*a script is running"):
        Keithley2600B("smu", twin.addresses["smu"], visalib=twin.visalib, timeout=1)


def test_a_script_without_a_device_clear_at_first_is_ended(twin: Twin, panel: Keithley2600BPanel) -> None:
    panel.receive(ENDLESS)
    smu = Keithley2600B("smu", twin.addresses["smu"], visalib=twin.visalib, timeout=1, device_clear=False).smua
    prepare(smu)
    assert not panel.errors


class Socket(socketserver.BaseRequestHandler):
    """A connection to the panel of its server; each line is a message."""

    request: socket.socket

    def handle(self) -> None:
        panel, stream = self.server.panel, self.request.makefile("rb")  # type: ignore[attr-defined]  # set by the test
        for line in stream:
            panel.receive(line)
            self.request.sendall(panel.drain())


def test_on_a_socket_abort_ends_the_script_of_a_client_that_has_died(panel: Keithley2600BPanel) -> None:
    panel.receive(b"smua.source.output = 1")
    panel.receive(ENDLESS)
    with socketserver.TCPServer(("127.0.0.1", 0), Socket) as server:
        server.panel = panel  # type: ignore[attr-defined]  # read by the handler
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            address = f"TCPIP0::127.0.0.1::{server.server_address[1]}::SOCKET"
            smu = Keithley2600B("socket", address, visalib="@py", timeout=2).smua
            assert (smu.level(), smu.output_enabled()) == (0.001, True)
            smu.set_level(0.0)
            prepare(smu)
            smu.parent.close()
        finally:
            server.shutdown()


def test_a_script_in_mid_run_ends_in_an_error_and_the_next_query_recovers(smu: Any, panel: Keithley2600BPanel) -> None:
    prepare(smu)
    panel.receive(b"delay(1000)")
    with pytest.raises(CommunicationError):
        smu.set_level(0.1)
    assert smu.level() == 0.0
    prepare(smu)


def test_prompts_of_another_program_are_switched_off(twin: Twin, panel: Keithley2600BPanel) -> None:
    panel.receive(b"localnode.showerrors = 1 localnode.prompts = 1")
    panel.receive(b"nonsense(")
    smu = Keithley2600B("smu", twin.addresses["smu"], visalib=twin.visalib, device_clear=False).smua
    prepare(smu)
    assert (panel.prompts, panel.show_errors) == (0.0, 0.0)


def test_a_lost_connection_is_an_error(smu: Any, panel: Keithley2600BPanel, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(smu)
    monkeypatch.setattr(panel, "execute", lambda message: [])
    for call in (smu.read, smu.level, smu.output_enabled, smu.output_on, lambda: smu.set_level(0.1)):
        with pytest.raises(CommunicationError, match=r"smu \(USB"):
            call()


# --- simulations of other people -------------------------------------------------------------------------------------


def test_the_simulation_of_qcodes() -> None:
    # It knows the identity and QCoDeS's own queries; ours end in an error and never in a number.
    library = f"{Path(qcodes_simulations.__file__ or '').with_name('Keithley_2600.yaml')}@sim"
    if not Path(library.removesuffix("@sim")).exists():
        library = f"{Path(qcodes_simulations.__path__[0]) / 'Keithley_2600.yaml'}@sim"
    found = Keithley2600B("simulated", "GPIB::1::INSTR", visalib=library, timeout=0.2)
    try:
        assert (found.get_idn()["model"], list(found.submodules)) == ("2601B", ["smua"])
        found.smua.volt(0.25)
        assert found.smua.volt() == 0.25
        assert found.smua.linefreq() == 50.0
        for call in (found.smua.read, found.smua.level, found.smua.output_on, lambda: prepare(found.smua)):
            with pytest.raises(InstrumentError, match="simulated"):
                call()
    finally:
        found.close()


# --- faults of the line ----------------------------------------------------------------------------------------------


def session(smu: Any, panel: Keithley2600BPanel, twin: Twin) -> list[Any]:
    """Two preparations for different ranges, and readings at several levels."""
    found: list[Any] = []
    prepare(smu, 0.9, 1e-6)
    smu.output_on()
    for level in (0.3, 0.9):
        smu.set_level(level)
        twin.clock.sleep(0.1)
        reading = smu.read()
        found += [reading.voltage, reading.current, reading.voltage_range, reading.current_range]
        found += [smu.level(), smu.output_enabled(), smu.sources_current()]
    panel.receive(b"smua.source.levelv = 0.7")  # what changes while the client only reads
    twin.clock.sleep(0.1)
    found += [smu.read().voltage, smu.level()]
    smu.set_level(0.0)
    smu.output_off()
    prepare(smu, 0.05, 1e-4)
    return [*found, smu.output_enabled(), smu.mains_frequency]


def played(twin: Twin, panel: Keithley2600BPanel, at: int | None) -> tuple[list[Any] | None, int, bool]:
    """Numbers of a session with answer number `at` swapped for the one before; answers; whether it was swapped."""
    panel.switch_on()
    instrument = Keithley2600B("smu", twin.addresses["smu"], visalib=twin.visalib, timeout=1)
    honest, answered, before, swapped = panel.execute, count(), [b""], False

    def execute(message: str) -> list[bytes]:
        nonlocal before, swapped
        answer = honest(message)
        if answer and next(answered) == at:
            swapped, answer, before = True, before, answer
        elif answer:
            before = answer
        return answer

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel, "execute", execute)
            return session(instrument.smua, panel, twin), next(answered), swapped
    except InstrumentError as error:
        assert "smu (USB" in str(error)
        return None, next(answered), swapped
    finally:
        instrument.close()


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(twin: Twin, panel: Keithley2600BPanel) -> None:
    clean, total, _ = played(twin, panel, None)
    assert clean is not None
    for at in range(1, total):
        found, _, swapped = played(twin, panel, at)
        assert swapped
        assert found is None or np.allclose(found, clean, rtol=0.05, atol=1e-9), at


ANSWERS = st.sampled_from(
    ["", "1", "7 1 2", "nan", "9.91e37", "1\t2", "TSP>", "0, x", "-285 TSP", "1 1 1 1 1 1 1", "∞"]
)


ABSURD = st.sampled_from(["nan", "inf", "-inf", "9.91e37", "-1", "1e300", "2", "0.5", "1e24"])


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_absurd_numbers_are_errors(smu: Any, panel: Keithley2600BPanel, data: st.DataObject) -> None:
    honest = panel.execute

    def execute(message: str) -> list[bytes]:
        answer = honest(message)
        if not answer or "string.format" not in message or "errorqueue" in message:
            return answer
        tag, *numbers = answer[0].decode().split(" ")
        at = data.draw(st.integers(0, 3 * len(numbers)))  # mostly none
        if at < len(numbers):
            numbers[at] = data.draw(ABSURD)
        return [" ".join([tag, *numbers]).encode()]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", execute)
        for call in (lambda: prepare(smu), smu.read, smu.level, smu.current_level, smu.output_enabled):
            try:
                found = call()
            except InstrumentError as error:
                assert "smu (USB" in str(error)
                continue
            numbers = [found.voltage, found.current] if hasattr(found, "voltage") else [float(found or 0)]
            assert all(abs(number) < 50 for number in numbers)


@pytest.fixture
def fuzzed(smu: Any) -> Iterator[Any]:
    yield smu
    Instrument.close_all()


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(answers=st.lists(ANSWERS | st.text(max_size=30), min_size=1, max_size=4))
def test_fuzzed_answers_are_errors(fuzzed: Any, panel: Keithley2600BPanel, answers: list[str]) -> None:
    honest, remaining = panel.execute, list(answers)

    def execute(message: str) -> list[bytes]:
        answer = honest(message)
        return (
            [remaining.pop(0).encode("utf-8", "replace")] if answer and remaining and "*IDN" not in message else answer
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", execute)
        for call in (
            fuzzed.read,
            fuzzed.level,
            fuzzed.output_enabled,
            fuzzed.sources_current,
            fuzzed.parent.next_error,
        ):
            remaining[:] = answers
            try:
                call()
            except InstrumentError as error:
                assert "smu (USB" in str(error)
            remaining.clear()
            assert fuzzed.parent.values("2 + 3") == [5.0]


# --- in a station ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["smua", "smub"])
def test_a_station_biases_the_device_with_one_channel(tmp_path: Path, channel: str) -> None:
    text = (Path(__file__).parents[2] / "station.yaml").read_text(encoding="utf-8")
    text = text.replace("drivers.keithley_2450.Keithley2450", "drivers.keithley_2600b.Keithley2600B")
    text = text.replace("bias: keithley ", f"bias: {{instrument: keithley, channel: {channel}}} ")
    text = text.replace("accuracy: keithley_2450", "accuracy: keithley_2602b")
    path = tmp_path / "station.yaml"
    path.write_text(text, encoding="utf-8")
    config = load_station(path)
    simulated = {"wiring": config.wiring_record(), "instruments": simulated_instruments(config)}
    with open_twin(SHIPPED_TRUTH, seed=1, **simulated) as twin, open_station(config, twin=twin) as station:
        station.open(["bias"])
        bias = station.roles.bias
        bias.prepare(maximum_bias=1e-3, maximum_current=1e-6, integration_time=0.02)
        bias.move_to(0.9e-3)
        twin.clock.sleep(1.0)
        reading = bias.read()
        assert reading.bias == pytest.approx(0.9e-3, abs=1e-5)
        # Two junctions of 12 kOhm behind 2 kOhm: I R = sqrt(V^2 - (2 gap / e)^2) without temperature.
        assert reading.current == pytest.approx(np.sqrt(0.9e-3**2 - 0.43e-3**2) / 26e3, rel=0.05)
        bias.move_to(0.0)


# --- sweeps with readings --------------------------------------------------------------------------------------------

LEVELS = [0.6, 0.7, 0.8, 0.9]


@pytest.fixture
def live(smu: Any) -> Any:
    prepare(smu)
    smu.output_on()
    return smu


def test_a_script_measures_at_each_level(live: Any, panel: Keithley2600BPanel, twin: Twin) -> None:
    assert missing_members(live, BufferedSweep) == []
    one_by_one = []
    for level in LEVELS:
        live.set_level(level)
        twin.clock.sleep(0.05)
        one_by_one.append(live.read())
    live.set_level(0.0)
    began = twin.clock.time()
    live.start_sweep(LEVELS, 0.05)
    assert not live.sweep_running()
    assert twin.clock.time() - began >= 4 * (0.05 + 0.02)
    found = live.fetch_sweep(4)
    assert [one.voltage for one in found] == pytest.approx([one.voltage for one in one_by_one], rel=1e-4)
    assert [one.current for one in found] == pytest.approx([one.current for one in one_by_one], abs=1e-10)
    assert live.level() == LEVELS[-1]
    live.halt_sweep()
    assert live.output_enabled()
    assert not panel.errors


def test_a_script_that_is_halted_leaves_the_level_that_is_read(live: Any, twin: Twin) -> None:
    live.start_sweep(LEVELS, 1.0)
    twin.clock.sleep(2.5)
    live.halt_sweep()
    level = live.level()
    assert level == 0.8
    twin.clock.sleep(5.0)
    assert live.level() == level
    assert live.read().voltage == pytest.approx(level, rel=1e-3)


def test_readings_of_a_script_stop_at_the_limit(smu: Any) -> None:
    prepare(smu, maximum=6.0, compliance=1e-7, current=1e-5)
    smu.output_on()
    smu.start_sweep([0.5, 1.0, 4.0, 5.0], 0.01)
    smu.sweep_running()
    found = smu.fetch_sweep(4)
    assert 0 < len(found) < 4
    assert all(abs(one.current) < 1e-7 for one in found)


@pytest.mark.parametrize("levels", [[], [0.1] * 51, [0.5, 1.2], [float("nan")]])
def test_a_sweep_that_is_not_possible_is_not_sent(live: Any, panel: Keithley2600BPanel, levels: list[float]) -> None:
    with pytest.raises(SettingError, match="nothing was sent"):
        live.start_sweep(levels, 0.01)
    assert live.level() == 0.0


@pytest.mark.parametrize("answer", ["", "7 1 2 3", "x", "TAG 0.1 1e-6", "TAG 0.1 1e-6 0 0.2", "TAG 0.1 1e-6 0"])
def test_another_answer_is_not_taken_for_readings(live: Any, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    live.start_sweep(LEVELS, 0.01)
    tag = str(live.parent.next_tag() - 1)
    monkeypatch.setattr(Keithley2600B, "receive_line", lambda *_: answer.replace("TAG", tag))
    with pytest.raises(CommunicationError, match="the script of a sweep"):
        live.sweep_running()
        live.fetch_sweep(4)


@pytest.mark.parametrize("what", "iv")
def test_a_relative_offset_in_mid_run_is_found(live: Any, panel: Keithley2600BPanel, what: str) -> None:
    live.start_sweep(LEVELS, 0.01)
    live.sweep_running()
    panel.receive(f"smua.measure.rel.level{what} = 1e-9 smua.measure.rel.enable{what} = 1".encode())
    for reading in (live.read, lambda: live.fetch_sweep(4)):
        with pytest.raises(SettingError, match=rf"measure\.rel\.enable{what} is on; it was switched off"):
            reading()


def test_a_reset_in_a_script_is_found(live: Any, panel: Keithley2600BPanel) -> None:
    live.start_sweep(LEVELS, 0.01)
    live.sweep_running()
    panel.receive(b"smua.reset()")
    with pytest.raises(SettingError, match="changed or reset"):
        live.fetch_sweep(4)
