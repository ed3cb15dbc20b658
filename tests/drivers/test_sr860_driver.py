"""The SR860 and its relatives as the lock-in: nothing left behind, no wrong number, a direct level never jumps."""

from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import CommunicationError, InstrumentError, OverloadError, ReadingError, SettingError
from drivers.roles import LockIn
from drivers.sr860 import SR860
from drivers.sr865 import SR865
from drivers.sr865a import SR865A
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.sr860 import SR860Panel
from sim_instruments.visa import LabnisVisaLibrary
from tests.drivers.test_swapped_answers import Behind
from tests.sr860_twin import lockin_model, sr860_twin  # noqa: F401  # fixtures

DRIVERS: dict[str, type[SR860 | SR865 | SR865A]] = {"SR860": SR860, "SR865": SR865, "SR865A": SR865A}
SETTINGS = {"amplitude": 0.1, "frequency": 77.7, "time_constant": 0.03, "sensitivity": 0.02}


@pytest.fixture
def lockin(twin: Twin, model: str) -> SR860 | SR865 | SR865A:
    return DRIVERS[model]("lockin", twin.addresses["lockin"], visalib=twin.visalib, timeout=0.5)


@pytest.fixture
def panel(lockin: SR860) -> SR860Panel:
    """The panel, with a current through the device."""
    library = lockin.visa_handle.visalib
    assert isinstance(library, LabnisVisaLibrary)
    library.world.set_source(level=2e-3, output=True, current_limit=1e-3)
    found = library.panels["lockin"]
    assert isinstance(found, SR860Panel)
    return found


def prepare(lockin: SR860, **changes: float) -> None:
    lockin.prepare(**{**SETTINGS, **changes})


@pytest.mark.parametrize("model", DRIVERS)
def test_it_fills_the_role_and_reads_the_device(lockin: SR860, panel: SR860Panel, twin: Twin, model: str) -> None:
    assert missing_members(lockin, LockIn) == []
    assert lockin.get_idn()["model"] == model
    prepare(lockin)
    twin.clock.sleep(lockin.settling_time())
    assert lockin.read() == pytest.approx(panel.world.lockin_input(0.0), rel=5e-3)
    assert lockin.settling_time() == pytest.approx(13.1 * 0.03)
    prepare(lockin, frequency=lockin.highest_frequency)
    with pytest.raises(SettingError, match="is not possible"):
        prepare(lockin, frequency=1.01 * lockin.highest_frequency)


@pytest.mark.parametrize(
    "left",
    [
        "IVMD CURR;ICUR 1",
        "ISRC A-B",
        "ICPL DC",
        "IRNG 4",
        "HARM 3",
        "RSRC EXT",
        "RSRC DUAL;HARMDUAL 5",
        "PHAS 90",
        "SYNC ON",
        "ADVFILT ON",
        "OFSL 0;OFLT 21;SCAL 27",
        "COFP 0,50;COFA 0,ON;CEXP 0,2;CRAT 0,ON;CRAT 1,ON;COFA 2,ON;CEXP 1,1",
        "CDSP 0,IN1;CDSP 1,16;COUT 0,1;COUT 1,1",
        "CAPTURECFG XYRT;CAPTURESTART CONT,IMM",
    ],
)
def test_nothing_that_was_left_behind_changes_a_reading(
    lockin: SR860, panel: SR860Panel, twin: Twin, left: str
) -> None:
    panel.receive(left.encode())
    assert panel.event_status & 48 == 0
    prepare(lockin)
    twin.clock.sleep(2.0)
    assert lockin.read() == pytest.approx(panel.world.lockin_input(0.0), rel=5e-3)
    found = panel.state
    assert [found[one] for one in ("IVMD", "ISRC", "ICPL", "SYNC", "ADVFILT", "OFSL", "HARM", "RSRC")] == [
        0, 0, 0, 0, 0, 3, 1, 0
    ]  # fmt: skip
    assert {*found["COFA"].values(), *found["CEXP"].values(), *found["CRAT"].values()} == {(0,)}


def test_a_direct_level_of_the_sine_output_is_refused_and_does_not_move(lockin: SR860, panel: SR860Panel) -> None:
    panel.receive(b"SOFF 1.5")
    with pytest.raises(SettingError, match=r"direct level of 1\.5 V at its sine output"):
        prepare(lockin)
    assert panel.state["SOFF"] == 1.5
    panel.receive(b"SOFF 0;SCNENBL ON")
    with pytest.raises(SettingError, match="scans its frequency"):
        prepare(lockin)


@pytest.mark.parametrize(
    ("sensitivity", "largest"), [(1.0, 1.0), (0.5, 1.0), (0.1, 0.3), (0.02, 0.1), (1e-3, 0.01), (1e-9, 0.01)]
)
def test_the_input_range_follows_the_full_scale(
    lockin: SR860, panel: SR860Panel, sensitivity: float, largest: float
) -> None:
    prepare(lockin, sensitivity=sensitivity)
    assert panel.sensitivity == pytest.approx(sensitivity)
    assert [1.0, 0.3, 0.1, 0.03, 0.01][panel.state["IRNG"]] == largest


def test_an_amplitude_that_it_rounds_is_refused(lockin: SR860) -> None:
    with pytest.raises(SettingError, match=r"SLVL\? reads 0\.123 where 0\.1234"):
        prepare(lockin, amplitude=0.1234)
    assert prepare(lockin, amplitude=0.125) is None
    assert lockin.quiet() == pytest.approx(1e-9)


def test_overloads_are_errors_not_data(lockin: SR860, panel: SR860Panel, twin: Twin) -> None:
    prepare(lockin, sensitivity=2e-3)
    twin.clock.sleep(2.0)
    with pytest.raises(OverloadError, match=r"CH1 scale overload at X = 0\.00"):
        lockin.read()
    prepare(lockin)
    panel.overloaded = True
    with pytest.raises(OverloadError, match="input range overload"):
        lockin.read()
    panel.overloaded = False
    lockin.read()
    panel.receive(b"RSRC EXT")
    with pytest.raises(ReadingError, match="not locked"):
        lockin.read()


def test_auxiliary_inputs(lockin: SR860, panel: SR860Panel, twin: Twin) -> None:
    panel.world.set_source(level=1e-2, output=True, current_limit=1e-3)
    expected = float(panel.world.device_state(1e-2).current) * 1e7
    assert lockin.read_auxiliary(1) == pytest.approx(expected, abs=2e-3)
    assert lockin.read_auxiliary(2) == 0.0
    panel.world.set_source(level=0.05, output=True, current_limit=1e-3)
    with pytest.raises(OverloadError):
        lockin.read_auxiliary(1)
    with pytest.raises(SettingError):
        lockin.read_auxiliary(0)


@pytest.mark.parametrize("word", ["ADVFILT", "IVMD", "SYNC", "SCAL", "OFLT", "SLVL", "FREQ", "IRNG"])
def test_a_setting_that_is_ignored_is_found(
    lockin: SR860, panel: SR860Panel, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    panel.receive(b"ADVFILT ON;IVMD CURR;SYNC ON")
    honest = panel.change_setting
    monkeypatch.setattr(
        panel, "change_setting", lambda setting, call: None if setting.name == word else honest(setting, call)
    )
    with pytest.raises(SettingError, match=rf"{word}\? reads"):
        prepare(lockin)


@pytest.mark.parametrize(
    "change", ["PHAS 90", "HARM 2", "ISRC 1", "IVMD 1", "OFLT 12", "OFSL 0", "SLVL 0.2", "SOFF 0.5", "COFA 0,1"]
)
def test_a_change_by_another_program_is_found_beside_a_reading(lockin: SR860, panel: SR860Panel, change: str) -> None:
    prepare(lockin)
    lockin.read()
    panel.receive(change.encode())
    with pytest.raises(SettingError, match=rf"{change[:4]}\?.* reads .* was confirmed"):
        lockin.read()


def test_a_current_input_that_was_left_is_told(lockin: SR860, panel: SR860Panel) -> None:
    assert lockin.set_otherwise("V") == []
    panel.receive(b"IVMD 1;HARM 2")
    assert lockin.set_otherwise("V") == ["HARM? reads 2, not 1", "IVMD? reads 1, not 0"]


def test_a_reset_or_a_power_cycle_in_mid_run_is_found(lockin: SR860, panel: SR860Panel) -> None:
    prepare(lockin)
    lockin.read()
    panel.receive(b"*RST")
    with pytest.raises(SettingError, match=r"OFLT\? reads 10; 9 was confirmed"):
        lockin.read()
    prepare(lockin)
    panel.switch_on()
    with pytest.raises(SettingError, match="switched off and on"):
        lockin.read()


def test_a_direct_level_that_a_key_has_set_is_found(lockin: SR860, panel: SR860Panel) -> None:
    prepare(lockin)
    panel.receive(b"SOFF 0.5")
    panel.event_status |= 64  # by a key
    with pytest.raises(SettingError, match=r"SOFF\? reads 0\.5; 0 was confirmed"):
        lockin.read()


def test_a_first_query_that_times_out_is_overcome(twin: Twin, panel: SR860Panel) -> None:
    panel.answer_delay = 0.0
    honest, late = panel.execute, [b"Stanford_Research_Systems,SR860,TWIN0011,v1.51"]

    def execute(message: str) -> list[bytes]:
        """The first answer is late: the one to each query comes with the next."""
        if not late:
            return honest(message)
        late.clear()
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", execute)
        second = SR860("second", twin.addresses["lockin"], visalib=twin.visalib, timeout=0.2)
        prepare(second)
    assert not late


def test_a_lost_connection_is_told(lockin: SR860, panel: SR860Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(lockin)
    lockin.visa_handle.timeout = 50
    monkeypatch.setattr(panel, "execute", lambda message: [])
    with pytest.raises(CommunicationError, match="lockin"):
        lockin.read()


def session(lockin: SR860, panel: SR860Panel, twin: Twin) -> list[float]:
    """Two preparations, each with two readings of all that it reads, while the bias changes."""
    found: list[float] = []
    for time_constant, amplitude in ((0.01, 0.1), (0.03, 0.2)):
        prepare(lockin, time_constant=time_constant, amplitude=amplitude, sensitivity=0.1)
        for level in (2e-3, 4e-3):
            panel.world.set_source(level=level, output=True, current_limit=1e-3)
            twin.clock.sleep(20.0)
            found += [lockin.read().real, lockin.read_auxiliary(1), lockin.settling_time()]
    return [*found, lockin.quiet()]


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(twin: Twin, panel: SR860Panel, lockin: SR860) -> None:
    lockin.close()
    clean: list[float] = []
    for at in count(0):
        panel.switch_on()
        panel.drain()
        instrument = SR860("behind", twin.addresses["lockin"], visalib=twin.visalib, timeout=0.5)
        instrument.log.setLevel("ERROR")
        behind = Behind(panel, at or None)
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(panel, "execute", behind.execute)
                found = session(instrument, panel, twin)
        except InstrumentError as error:
            assert instrument.name in str(error)
        else:
            clean = clean or found
            assert found == pytest.approx(clean, rel=0.05), f"answer {at}, to {behind.asked!r}"
        finally:
            instrument.close()
        if at and not behind.asked:
            break
    assert at > 60


USES: list[Any] = [
    prepare,
    lambda it: it.read(),
    lambda it: it.read_auxiliary(1),
    lambda it: it.settling_time(),
    lambda it: it.quiet(),
    lambda it: it.check_errors(),
]


@pytest.mark.faults
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    number=st.integers(0, len(USES) - 1),
    at=st.integers(0, 60),
    answer=st.binary(max_size=40)
    | st.lists(st.floats().map(lambda value: f"{value:g}".encode()), max_size=4).map(b",".join),
)
def test_any_answer_is_an_error_of_ours_or_a_possible_number(
    panel: SR860Panel, lockin: SR860, number: int, at: int, answer: bytes
) -> None:
    panel.switch_on()
    panel.drain()
    lockin.log.setLevel("ERROR")
    lockin.visa_handle.timeout = 100
    lockin._in_step = True
    prepare(lockin)
    honest, left = panel.execute, [at]

    def execute(message: str) -> list[bytes]:
        answers = honest(message)
        if answers and not left[0]:
            answers = [answer]
        left[0] -= bool(answers)
        return answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", execute)
        try:
            found = USES[number](lockin)
        except InstrumentError as error:
            assert lockin.name in str(error)
        else:
            assert found is None or (np.isfinite(found) and abs(found) < 1e6)
