"""The Yokogawa GS200 as the bias source: right levels, and an error wherever a setting would be another one."""

import pytest

from drivers.errors import CommunicationError, ComplianceError, RejectedCommandError, SettingError
from drivers.protection import CurrentSourcing
from drivers.roles import BiasSource
from drivers.yokogawa_gs200 import YokogawaGS200
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.yokogawa_gs200 import YokogawaGS200Panel
from sim_instruments.visa import LabnisVisaLibrary
from tests.gs200_twin import gs200_twin  # noqa: F401  # a fixture


@pytest.fixture
def yoko(twin: Twin) -> YokogawaGS200:
    return YokogawaGS200("yoko", twin.addresses["source"], visalib=twin.visalib)


@pytest.fixture
def panel(yoko: YokogawaGS200) -> YokogawaGS200Panel:
    library = yoko.visa_handle.visalib
    assert isinstance(library, LabnisVisaLibrary)
    found = library.panels["source"]
    assert isinstance(found, YokogawaGS200Panel)
    return found


def prepare(yoko: YokogawaGS200, maximum: float = 5e-3, compliance: float = 1e-6) -> None:
    yoko.prepare(maximum_voltage=maximum, maximum_current=1e-6, compliance=compliance, integration_time=0.04)


def test_it_fills_the_role(yoko: YokogawaGS200) -> None:
    assert missing_members(yoko, BiasSource) == []
    assert missing_members(yoko, CurrentSourcing) == []


@pytest.mark.parametrize(
    ("maximum", "expected"), [(5e-3, 10e-3), (12e-3, 10e-3), (0.0121, 0.1), (1.2, 1.0), (5.0, 10.0), (32.0, 30.0)]
)
def test_a_range_reaches_to_one_fifth_more_than_its_name(
    yoko: YokogawaGS200, panel: YokogawaGS200Panel, maximum: float, expected: float
) -> None:
    prepare(yoko, maximum)
    assert panel.range == expected
    yoko.set_level(maximum)
    assert yoko.level() == pytest.approx(maximum, rel=1e-12)


def test_the_own_limit_is_its_lowest_where_the_compliance_is_lower(
    yoko: YokogawaGS200, panel: YokogawaGS200Panel
) -> None:
    prepare(yoko, compliance=5e-6)
    assert panel.state["current limit"] == 1e-3
    prepare(yoko, compliance=20e-3)
    assert panel.state["current limit"] == 20e-3


def test_more_than_it_can_source_is_refused(yoko: YokogawaGS200) -> None:
    with pytest.raises(SettingError, match=r"33 V is beyond 32 V"):
        prepare(yoko, 33.0)


def test_a_level_keeps_its_digits(yoko: YokogawaGS200, panel: YokogawaGS200Panel) -> None:
    # The instrument drops digits that its range does not have: 0.0109999… would become 0.01099.
    prepare(yoko, 1.0)
    yoko.set_level(0.010999999999999999)
    assert panel.level == pytest.approx(0.011, rel=1e-12)
    yoko.set_level(-0.020004)
    assert panel.level == pytest.approx(-0.02, rel=1e-12)


def test_a_refused_level_is_written_again_and_then_told(
    yoko: YokogawaGS200, panel: YokogawaGS200Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(yoko)
    yoko.set_level(1e-3)
    honest, refusals = panel.execute, [2]

    def execute(message: str) -> list[bytes]:
        if message.startswith(":SOUR:LEV ") and refusals[0]:
            refusals[0] -= 1
            return honest(":SOUR:LEV?")
        return honest(message)

    monkeypatch.setattr(panel, "execute", execute)
    yoko.set_level(1.1e-3)
    assert panel.level == pytest.approx(1.1e-3)
    refusals[0] = 99
    with pytest.raises(SettingError, match=r"has the level 0\.0011 where 0\.0012000 was written"):
        yoko.set_level(1.2e-3)


def test_a_level_beyond_a_range_that_somebody_changed_is_told(yoko: YokogawaGS200, panel: YokogawaGS200Panel) -> None:
    prepare(yoko, 0.1)
    panel.receive(b":SOUR:RANG 10E-3")
    with pytest.raises(SettingError, match="-222"):
        yoko.set_level(0.05)
    with pytest.raises(SettingError, match=r"is in the range 0\.01 V; 0\.1 V was prepared"):
        yoko.read()


def test_an_unconfirmed_level_is_written_once(
    yoko: YokogawaGS200, panel: YokogawaGS200Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(yoko)
    sent: list[str] = []
    monkeypatch.setattr(panel, "execute", lambda message: sent.append(message) or [])
    with pytest.raises(CommunicationError):
        yoko.set_level(1e-3)
    assert len([message for message in sent if message.startswith(":SOUR:LEV ")]) == 1


def test_prepare_moves_neither_level_nor_output(yoko: YokogawaGS200, panel: YokogawaGS200Panel) -> None:
    prepare(yoko, 0.1)
    yoko.set_level(0.08)
    yoko.output_on()
    prepare(yoko, 5e-3)  # which a lower range would do
    assert (panel.level, panel.range, yoko.output_enabled()) == (pytest.approx(0.08), 0.1, True)
    with pytest.raises(SettingError, match=r"is on at 0\.08 V in the range 0\.1 V, which does not include 1 V"):
        prepare(yoko, 1.0)


def test_a_program_that_somebody_left_does_not_take_the_levels(yoko: YokogawaGS200, panel: YokogawaGS200Panel) -> None:
    for command in (":PROG:EDIT:STAR", ":SOUR:LEV 0.5"):
        panel.receive(command.encode())
    prepare(yoko)
    yoko.set_level(1e-3)
    assert panel.level == pytest.approx(1e-3)


def test_a_program_that_runs_is_held(yoko: YokogawaGS200, panel: YokogawaGS200Panel, twin: Twin) -> None:
    yoko.output_on()
    for command in (':PROG:MEM "0.5,1,V"', ":PROG:SLOP 10;INT 10", ":PROG:RUN"):
        panel.receive(command.encode())
    twin.clock.sleep(2.0)
    assert yoko.level() == pytest.approx(0.1, rel=0.02)
    yoko.set_level(0.0)  # as a guardian does, without a preparation
    twin.clock.sleep(2.0)
    assert yoko.level() == 0.0


def test_a_current_source_that_is_on_is_not_taken_over(yoko: YokogawaGS200, panel: YokogawaGS200Panel) -> None:
    panel.receive(b":SOUR:FUNC CURR;:OUTP ON")
    assert yoko.sources_current()
    with pytest.raises(SettingError, match="sources current with its output on"):
        prepare(yoko)
    yoko.set_current(0.5e-3)
    assert yoko.current_level() == pytest.approx(0.5e-3)


def test_its_own_limit_is_an_error_not_data(
    yoko: YokogawaGS200, panel: YokogawaGS200Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(yoko)
    yoko.output_on()
    yoko.set_level(4e-3)
    assert yoko.read().voltage == pytest.approx(4e-3)
    monkeypatch.setattr(panel, "_condition", lambda: 2048)
    with pytest.raises(ComplianceError, match=r"current limit \(level 0\.004 V\)"):
        yoko.read()


def test_wires_that_differ_from_the_station_file_are_told(yoko: YokogawaGS200, panel: YokogawaGS200Panel) -> None:
    panel.receive(b":SENS:REM ON;:OUTP ON")
    with pytest.raises(SettingError, match="output on and four wires; the station file says two"):
        prepare(yoko)
    panel.receive(b":OUTP OFF")
    prepare(yoko)
    assert panel.state["four-wire"] is False


def test_an_older_error_is_no_refusal(yoko: YokogawaGS200, panel: YokogawaGS200Panel) -> None:
    panel.receive(b":NONSENSE")
    prepare(yoko)
    panel.receive(b":NONSENSE")
    with pytest.raises(RejectedCommandError, match="-113"):
        yoko.check_errors()
