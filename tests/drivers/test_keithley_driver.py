"""The bias source: right readings, and an error wherever a reading or a setting would be wrong."""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import pytest
import qcodes.instrument.sims

from drivers.capabilities import BufferedSweep, SelfRamping
from drivers.errors import (
    CommunicationError,
    ComplianceError,
    OverloadError,
    ReadingError,
    RejectedCommandError,
    SettingError,
)
from drivers.keithley_2450 import Keithley2450
from drivers.roles import BiasSource
from labnis.station.role_check import missing_members
from sim_instruments.panels.keithley_2450 import Keithley2450Panel
from sim_instruments.visa import LabnisVisaLibrary
from tests.shipped_twin import VISALIB


@pytest.fixture
def panel(twin: LabnisVisaLibrary) -> Keithley2450Panel:
    found = twin.panels["bias"]
    assert isinstance(found, Keithley2450Panel)
    return found


@pytest.fixture
def answers(panel: Keithley2450Panel, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes | None], None]:
    """Make the instrument answer a message containing a text with given bytes, or not at all."""

    def spoil(text: str, answer: bytes | None) -> None:
        honest = panel.execute

        def execute(message: str) -> list[bytes]:
            if text not in message:
                return honest(message)
            return [] if answer is None else [answer]

        monkeypatch.setattr(panel, "execute", execute)

    return spoil


def prepare(smu: Keithley2450, compliance: float = 1e-6, integration_time: float = 0.02) -> None:
    smu.prepare(maximum_voltage=5e-3, maximum_current=1e-6, compliance=compliance, integration_time=integration_time)


def test_it_fills_the_role(smu: Keithley2450) -> None:
    assert missing_members(smu, BiasSource) == []


def test_prepare_sets_ranges_limit_and_integration_time(smu: Keithley2450, panel: Keithley2450Panel) -> None:
    prepare(smu, integration_time=0.1)
    assert panel.state["VOLT source range"] == pytest.approx(0.02)
    assert panel.state["VOLT source range auto"] is False
    assert panel.state["CURR range"] == pytest.approx(1e-6)
    assert panel.state["VOLT limit"] == pytest.approx(1e-6)
    assert panel.state["CURR nplc"] == pytest.approx(5)
    assert panel.state["VOLT readback"] is True
    smu.check_errors()


def test_long_integration_is_averaged_in_the_instrument(smu: Keithley2450, twin: LabnisVisaLibrary) -> None:
    prepare(smu, integration_time=1.0)
    before = twin.clock.time()
    smu.read()
    assert twin.clock.time() - before == pytest.approx(1.0, abs=0.01)


def test_prepare_moves_neither_level_nor_output(smu: Keithley2450, panel: Keithley2450Panel) -> None:
    smu.set_level(0.1)  # left by a former run, beyond the coming maximum
    smu.output_on()
    prepare(smu)
    assert smu.level() == pytest.approx(0.1)
    assert smu.output_enabled() is True
    assert panel.state["VOLT source range"] == pytest.approx(0.2)


def test_reading_is_voltage_and_current_at_the_terminals(smu: Keithley2450, twin: LabnisVisaLibrary) -> None:
    prepare(smu)
    smu.set_level(1e-3)
    smu.output_on()
    twin.clock.sleep(0.1)
    reading = smu.read()
    assert reading.voltage == pytest.approx(1e-3, abs=1e-7)
    assert reading.current == pytest.approx(float(twin.world.device_state(1e-3).current), abs=1e-11)


CHANGING = [
    ":FORM:ASC:PREC 3", ":CALC:CURR:MATH:STAT ON", ":CALC:CURR:MATH:FORM MXB;MMF 3;STAT ON", ":CALC1:CURR:MATH:STAT ON",
    ":SENS:CURR:UNIT OHM", ":CURR:UNIT WATT", ":SENS:CURR:REL 5e-10;:SENS:CURR:REL:STAT ON", ':SENS:FUNC "VOLT"',
    ":SENS:COUN 5", ":SENS:CURR:RANG 1e-3", ":SENS:CURR:RANG:AUTO ON", ":SENS:CURR:AVER ON", "*RST",
    ":SOUR:VOLT:READ:BACK OFF",
]  # fmt: skip


@pytest.mark.parametrize("left", [*CHANGING, ":FORM:DATA REAL", ":FORM SRE;:FORM:BORD NORM", ":FORM:ASC:PREC 1"])
def test_what_somebody_left_behind_does_not_change_a_reading(
    smu: Keithley2450, panel: Keithley2450Panel, twin: LabnisVisaLibrary, left: str
) -> None:
    panel.receive(left.encode())
    assert not panel.errors
    prepare(smu)
    smu.set_level(4e-4)
    smu.output_on()
    twin.clock.sleep(0.1)
    reading = smu.read()
    assert reading.voltage == pytest.approx(4e-4, abs=1e-7)
    assert reading.current == pytest.approx(float(twin.world.device_state(4e-4).current), abs=1e-11)


@pytest.mark.parametrize("change", CHANGING)
def test_a_change_since_the_preparation_is_found_beside_a_reading(
    smu: Keithley2450, panel: Keithley2450Panel, change: str
) -> None:
    prepare(smu)
    smu.output_on()
    smu.read()
    panel.receive(change.encode())
    with pytest.raises(SettingError, match=r"\? reads .* beside a reading; .* prepare the measurement again"):
        smu.read()


@pytest.mark.parametrize("change", CHANGING[:6])
def test_a_change_during_a_sweep_is_found(
    smu: Keithley2450, panel: Keithley2450Panel, twin: LabnisVisaLibrary, change: str
) -> None:
    prepare(smu)
    smu.output_on()
    smu.start_sweep([1e-3, 2e-3], 0.01)
    twin.clock.sleep(0.2)
    assert not smu.sweep_running()
    panel.receive(change.encode())
    with pytest.raises(SettingError, match="prepare the measurement again"):
        smu.fetch_sweep(2)


def test_a_binary_answer_is_told_as_that(smu: Keithley2450, panel: Keithley2450Panel) -> None:
    prepare(smu)
    smu.output_on()
    panel.receive(b":FORM:DATA REAL")
    with pytest.raises(CommunicationError, match=r"is no text: another program may have chosen a binary format"):
        smu.read()


@pytest.mark.parametrize("ignored", ["ASC:PREC 0", "MATH:STAT OFF", "UNIT AMP"])
def test_a_setting_of_the_readings_that_is_not_accepted_is_told(
    smu: Keithley2450, panel: Keithley2450Panel, ignored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.receive(b":FORM:ASC:PREC 3;:CALC:CURR:MATH:STAT ON;:SENS:CURR:UNIT OHM")
    honest = panel.execute_unit
    monkeypatch.setattr(panel, "execute_unit", lambda unit: None if ignored in unit else honest(unit))
    with pytest.raises(SettingError, match="was requested"):
        prepare(smu)


def test_the_level_is_asked_of_the_instrument(smu: Keithley2450, panel: Keithley2450Panel) -> None:
    smu.set_level(1e-3)
    panel.receive(b":SOUR:VOLT 2e-3")  # somebody else
    assert smu.level() == pytest.approx(2e-3)


def test_compliance_is_an_error_not_data(smu: Keithley2450) -> None:
    prepare(smu, compliance=1e-8)
    smu.set_level(4e-3)
    smu.output_on()
    with pytest.raises(ComplianceError, match="current limit"):
        [smu.read() for _ in range(3)]


def test_over_range_is_an_error_not_data(smu: Keithley2450) -> None:
    smu.prepare(maximum_voltage=5e-3, maximum_current=1e-8, compliance=1e-6, integration_time=0.02)
    smu.set_level(4e-3)
    smu.output_on()
    with pytest.raises(OverloadError, match="over-range"):
        [smu.read() for _ in range(3)]


def test_compliance_with_a_current_over_range_is_told_as_both(
    smu: Keithley2450, answers: Callable[[str, bytes | None], None]
) -> None:
    answers("READ?", b"1e-3,9.9e37,160")
    with pytest.raises(ComplianceError, match=r"current limit \(current over-range .*, voltage 0\.001 V\)"):
        smu.read()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"1e-3,9.91e37,128", OverloadError),
        (b"1e-3,-9.9e37,128", OverloadError),
        (b"1e-3,nan,128", ReadingError),
        (b"inf,1e-9,128", ReadingError),
        (b"1e-3,1e-9,nan", CommunicationError),
        (b"1e-3,1e-9", CommunicationError),
        (b"KEITHLEY", CommunicationError),
        (b"\xff\xfe", CommunicationError),
        (None, CommunicationError),
    ],
)
def test_wrong_answers_are_errors_not_data(
    smu: Keithley2450, answers: Callable[[str, bytes | None], None], answer: bytes | None, error: type[Exception]
) -> None:
    answers("READ?", answer)
    with pytest.raises(error) as caught:
        smu.read()
    assert "USB0::0x05E6::0x2450" in str(caught.value)


def test_a_timeout_names_instrument_address_and_command(
    smu: Keithley2450, answers: Callable[[str, bytes | None], None]
) -> None:
    answers(":SOUR:VOLT?", None)
    with pytest.raises(CommunicationError) as caught:
        smu.level()
    assert "smu (USB0::0x05E6::0x2450::04000001::" in str(caught.value)
    assert "':SOUR:VOLT?'" in str(caught.value)


@pytest.mark.parametrize("query", [":SOUR:VOLT:ILIM?", ":SENS:CURR:NPLC?", ":SOUR:VOLT:READ:BACK?"])
def test_a_setting_that_is_not_held_is_found(
    smu: Keithley2450, answers: Callable[[str, bytes | None], None], query: str
) -> None:
    answers(query, b"0.5")
    with pytest.raises(SettingError, match=r"reads 0\.5 where"):
        prepare(smu)


def test_a_range_that_is_not_taken_is_found(smu: Keithley2450, answers: Callable[[str, bytes | None], None]) -> None:
    answers(":SENS:CURR:RANG?", b"1e-8")
    with pytest.raises(SettingError, match="does not include"):
        prepare(smu)


def test_an_output_that_stays_off_is_found(smu: Keithley2450, answers: Callable[[str, bytes | None], None]) -> None:
    answers(":OUTP ON", None)
    with pytest.raises(SettingError, match=":OUTP"):
        smu.output_on()


def test_a_compliance_beyond_the_instrument_is_refused(smu: Keithley2450) -> None:
    with pytest.raises(SettingError, match="-222"):
        prepare(smu, compliance=20.0)


def test_a_rejected_command_is_reported_with_its_entry(smu: Keithley2450) -> None:
    smu.set_level(500.0)
    with pytest.raises(RejectedCommandError, match=r"-222.*:SOUR:VOLT 500"):
        smu.check_errors()
    smu.check_errors()  # the queue is empty now


@pytest.mark.parametrize("level", [float("nan"), float("inf"), -float("inf")])
def test_a_level_that_is_no_number_is_never_sent(smu: Keithley2450, panel: Keithley2450Panel, level: float) -> None:
    smu.set_level(1e-3)
    with pytest.raises(SettingError):
        smu.set_level(level)
    assert panel.state["VOLT level"] == pytest.approx(1e-3)
    smu.check_errors()


@pytest.mark.parametrize("seconds", [0.0, 1e-5, 100.0])
def test_an_impossible_integration_time_names_what_is_allowed(smu: Keithley2450, seconds: float) -> None:
    with pytest.raises(SettingError, match="Allowed are"):
        prepare(smu, integration_time=seconds)


def test_a_live_current_source_is_not_switched_over(
    smu: Keithley2450, answers: Callable[[str, bytes | None], None]
) -> None:
    answers(":SOUR:FUNC?", b"CURR")
    smu.output_on()
    with pytest.raises(SettingError, match="sources current"):
        prepare(smu)


def test_a_current_source_is_told_and_set_as_such(smu: Keithley2450, panel: Keithley2450Panel) -> None:
    assert not smu.sources_current()
    panel.state |= {"source function": "CURR", "CURR level": 1e-6, "output": True}
    assert smu.sources_current()
    assert smu.current_level() == pytest.approx(1e-6)
    smu.set_current(0.0)
    assert panel.state["CURR level"] == 0.0
    with pytest.raises(SettingError, match="nothing was sent"):
        smu.set_current(float("nan"))
    smu.check_errors()


def test_nothing_is_printed_on_standard_output(smu: Keithley2450, capsys: pytest.CaptureFixture[str]) -> None:
    smu.connect_message()
    assert capsys.readouterr().out == ""


def test_a_snapshot_leaves_no_error(smu: Keithley2450) -> None:
    smu.snapshot(update=True)
    smu.check_errors()


# --- ramps on the trigger model --------------------------------------------------------------------------------------

BLOCKS = ":TRIG:BLOC:LIST?"
UP = [1e-3, 2e-3, 3e-3, 4e-3]


@pytest.fixture
def trajectory(twin: LabnisVisaLibrary, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Every drive of the source: time (s), level (V)."""
    drives: list[tuple[float, float]] = []
    honest = twin.world.set_source

    def set_source(*, level: float, output: bool, current_limit: float) -> None:
        drives.append((twin.clock.time(), level))
        honest(level=level, output=output, current_limit=current_limit)

    monkeypatch.setattr(twin.world, "set_source", set_source)
    return drives


@pytest.fixture
def ready(smu: Keithley2450) -> Keithley2450:
    prepare(smu)
    smu.output_on()
    return smu


def test_it_ramps_by_itself(
    ready: Keithley2450, twin: LabnisVisaLibrary, trajectory: list[tuple[float, float]]
) -> None:
    assert missing_members(ready, SelfRamping) == []
    ready.start_ramp(UP, 0.1)
    assert ready.ramp_running()
    twin.clock.sleep(0.5)
    assert not ready.ramp_running()
    assert [level for _, level in trajectory[:4]] == pytest.approx(UP)
    assert {level for _, level in trajectory[4:]} <= {trajectory[3][1]}  # the target, and nothing after it
    times = [time for time, _ in trajectory]
    assert min(later - before for before, later in pairwise(times)) >= 0.1
    ready.halt_ramp()
    assert ready.level() == pytest.approx(4e-3)
    assert ready.output_enabled()
    ready.check_errors()


def test_it_measures_at_each_level_by_itself(
    ready: Keithley2450, twin: LabnisVisaLibrary, trajectory: list[tuple[float, float]]
) -> None:
    assert missing_members(ready, BufferedSweep) == []
    ready.start_sweep(UP, 0.1)
    twin.clock.sleep(2.0)
    assert not ready.ramp_running()
    found = ready.fetch_sweep(len(UP))
    ready.halt_ramp()
    assert [one.voltage for one in found] == pytest.approx(UP, abs=2e-6)
    times = [time for time, _ in trajectory]
    assert min(b - a for a, b in pairwise(times[:5])) >= 0.1 + 0.02  # settling and integration of each
    ready.set_level(UP[1])
    twin.clock.sleep(0.1)
    assert ready.read().current == pytest.approx(found[1].current, rel=1e-3)
    ready.check_errors()


def test_readings_of_a_sweep_that_ends_at_the_limit_stop_there(ready: Keithley2450, twin: LabnisVisaLibrary) -> None:
    ready.apply(":SOUR:VOLT:ILIM", 150e-9)
    ready.start_sweep(UP, 0.01)
    twin.clock.sleep(2.0)
    found = ready.fetch_sweep(len(UP))
    assert 0 < len(found) < len(UP)
    assert max(abs(one.current) for one in found) < 150e-9


def test_a_buffer_with_other_readings_is_not_taken_for_the_sweep(ready: Keithley2450, twin: LabnisVisaLibrary) -> None:
    ready.start_sweep(UP, 0.1)
    twin.clock.sleep(0.25)
    ready.halt_ramp()
    with pytest.raises(CommunicationError, match=f"TRAC:ACT.*{len(UP)}, one for each level"):
        ready.fetch_sweep(len(UP))


@pytest.mark.parametrize("turns", [-1, 1])
def test_a_counter_that_counts_otherwise_than_the_manual_says_makes_no_jump(
    ready: Keithley2450, twin: LabnisVisaLibrary, panel: Keithley2450Panel, trajectory: list[tuple[float, float]],
    turns: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    honest = panel.execute
    shown = ":TRIG:BLOC:BRAN:COUN 4,4,2"
    monkeypatch.setattr(Keithley2450, "_confirm_blocks", lambda *_: None)
    monkeypatch.setattr(
        panel, "execute", lambda message: honest(message.replace(shown, shown.replace("4,4,2", f"4,{4 + turns},2")))
    )
    ready.start_ramp(UP, 0.1)
    twin.clock.sleep(1.0)
    assert not ready.ramp_running()
    assert ready.level() == pytest.approx(4e-3)
    assert max(abs(b - a) for (_, a), (_, b) in pairwise(trajectory)) < 1.001e-3


def test_a_ramp_is_halted_where_it_is_and_forgotten(
    ready: Keithley2450, twin: LabnisVisaLibrary, panel: Keithley2450Panel
) -> None:
    ready.start_ramp(UP, 0.1)
    twin.clock.sleep(0.15)
    ready.halt_ramp()
    stopped = ready.level()
    assert 1e-3 <= stopped < 4e-3
    twin.clock.sleep(1.0)
    assert ready.level() == stopped
    panel.receive(b":INIT")  # the TRIGGER key at the front panel
    assert ready.level() == stopped
    with pytest.raises(RejectedCommandError, match="-221"):
        ready.check_errors()
    ready.set_level(0.0)
    assert ready.level() == 0


def test_halting_is_harmless_where_nothing_walks(ready: Keithley2450) -> None:
    ready.set_level(1e-3)
    ready.halt_ramp()
    ready.halt_ramp()
    assert ready.level() == pytest.approx(1e-3)
    assert ready.output_enabled()
    ready.check_errors()


@pytest.mark.parametrize(
    ("levels", "why"),
    [([], "0 levels"), ([0.0] * 99, "99 levels"), ([0.0, 0.03], "range"), ([float("nan")], "range"), ([1e9], "range")],
)
def test_a_ramp_that_is_not_possible_sends_nothing(ready: Keithley2450, levels: list[float], why: str) -> None:
    with pytest.raises(SettingError, match=why):
        ready.start_ramp(levels, 0.1)
    with pytest.raises(SettingError, match="EMPTY"):
        ready.ramp_running()
    assert ready.level() == 0


def test_a_range_that_is_not_fixed_is_refused(smu: Keithley2450) -> None:
    with pytest.raises(SettingError, match="automatic voltage ranging"):
        smu.start_ramp(UP, 0.1)


@pytest.mark.parametrize(
    ("query", "answer", "error"),
    [
        (":SOUR:LIST:VOLT?", b"1e-3,2e-3,3e-3,5e-3,4e-3,4e-3", SettingError),
        (":SOUR:LIST:VOLT?", b"1e-3,2e-3,3e-3,4e-3", CommunicationError),
        (":SOUR:LIST:VOLT?", b"nan,2e-3,3e-3,4e-3,4e-3,4e-3", SettingError),
        (BLOCKS, b"1) CONFIG_RECALL\n4) BRANCH_COUNTER VALUE: 4 BRANCH_BLOCK: 2;1", SettingError),
        (BLOCKS, b"2) DELAY_CONSTANT DELAY: 0.01\n4) BRANCH_COUNTER VALUE: 4 BRANCH_BLOCK: 2;1", SettingError),
        (BLOCKS, b"2) DELAY_CONSTANT DELAY: 0.1\n4) BRANCH_COUNTER VALUE: 9 BRANCH_BLOCK: 2;1", SettingError),
        (BLOCKS, b"2) DELAY_CONSTANT DELAY: 0.1", CommunicationError),
        (":SYST:ERR?", b'-222,"Data out of range"', RejectedCommandError),
    ],
)  # fmt: skip
def test_a_ramp_that_is_not_held_as_it_was_loaded_is_not_started(
    ready: Keithley2450, panel: Keithley2450Panel, twin: LabnisVisaLibrary,
    answers: Callable[[str, bytes | None], None], query: str, answer: bytes, error: type[Exception],
) -> None:  # fmt: skip
    answers(query, answer)
    with pytest.raises(error):
        ready.start_ramp(UP, 0.1)
    twin.clock.sleep(1.0)
    assert panel.state["VOLT level"] == 0
    assert not panel.running


@pytest.mark.parametrize("part", ["CONF:REC", "DEL:CONS", "CONF:NEXT", "BRAN:COUN", ":TRIG", ":SOUR:LIST:VOLT "])
def test_a_setting_that_is_lost_makes_no_jump(
    ready: Keithley2450, panel: Keithley2450Panel, twin: LabnisVisaLibrary, trajectory: list[tuple[float, float]],
    part: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    honest = panel.execute

    def deaf(message: str) -> list[bytes]:
        return honest(";".join(unit for unit in message.split(";") if "?" in unit or part not in unit))

    monkeypatch.setattr(panel, "execute", deaf)
    ready.set_level(1e-3)
    with pytest.raises((SettingError, CommunicationError)) if part not in ("CONF:REC", "CONF:NEXT") else nullcontext():
        ready.start_ramp(UP, 0.1)
    twin.clock.sleep(2.0)
    levels = [0.0, *(level for _, level in trajectory)]
    assert max(abs(b - a) for a, b in pairwise(levels)) <= 1.001e-3


@pytest.mark.parametrize("state", ["EMPTY", "BUILDING", "FAILED", "ABORTING", "ABORTED"])
def test_a_model_that_did_not_come_to_its_end_is_an_error(
    ready: Keithley2450, answers: Callable[[str, bytes | None], None], state: str
) -> None:
    ready.start_ramp(UP, 0.1)
    answers(":TRIG:STAT?", f"{state};{state};2".encode())
    with pytest.raises(SettingError, match=f"{state}.*read the level back"):
        ready.ramp_running()


@pytest.mark.parametrize("answer", [b"1", b"", b"\xff;", None])
def test_a_state_that_cannot_be_read_is_an_error(
    ready: Keithley2450, answers: Callable[[str, bytes | None], None], answer: bytes | None
) -> None:
    answers(":TRIG:STAT?", answer)
    for question in (ready.ramp_running, ready.halt_ramp):
        with pytest.raises(CommunicationError, match="TRIG:STAT"):
            question()


def test_a_model_that_does_not_stop_is_an_error(
    ready: Keithley2450, answers: Callable[[str, bytes | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.keithley_ramp.PATIENCE", 0.01)
    answers(":TRIG:STAT?", b"RUNNING;RUNNING;2")
    with pytest.raises(SettingError, match="still RUNNING"):
        ready.halt_ramp()


@pytest.mark.parametrize("language", ["SCPI2400", "TSP"])
def test_another_command_language_is_told(
    twin: LabnisVisaLibrary, answers: Callable[[str, bytes | None], None], language: str
) -> None:
    # As a 2450 is that somebody uses with the programs of a 2400, or with scripts.
    answers("*LANG?", language.encode())
    with pytest.raises(SettingError, match=rf"has the command language {language} \(\*LANG\?\); its driver needs SCPI"):
        Keithley2450("other", twin.panels["bias"].address, visalib=VISALIB)


def test_a_garbled_command_language_is_no_other_language(
    twin: LabnisVisaLibrary, answers: Callable[[str, bytes | None], None]
) -> None:
    answers("*LANG?", b"1.7.12b")
    with pytest.raises(CommunicationError, match=r"'1\.7\.12b' to '\*LANG\?'"):
        Keithley2450("other", twin.panels["bias"].address, visalib=VISALIB)


def test_the_command_language_of_qcodes_simulation_is_told() -> None:
    simulation = Path(qcodes.instrument.sims.__path__[0]) / "Keithley_2450.yaml"
    with pytest.raises(SettingError, match="has the command language SCPI2400"):
        Keithley2450("other", "GPIB::1::INSTR", visalib=f"{simulation}@sim")
