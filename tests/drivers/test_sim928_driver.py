"""A SIM928 in a SIM900 as bias source: right levels, and an error wherever an answer is another one."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.capabilities import CoarselyStepped
from drivers.errors import CommunicationError, ComplianceError, InstrumentError, ReadingError, SettingError
from drivers.protection import CoarselyLimited
from drivers.roles import BiasSource
from drivers.sim928 import SIM928, SIM928Port
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels import sim900
from sim_instruments.panels.sim900 import SIM900Panel, VoltageModule
from tests.drivers.test_swapped_answers import Behind
from tests.sim900_twin import sim900_twin  # noqa: F401  # a fixture
from tests.single_instrument_twin import opened_wire, panel_of


@pytest.fixture
def mainframe(twin: Twin) -> SIM928:
    return SIM928("sim", twin.addresses["source"], visalib=twin.visalib, timeout=1)


@pytest.fixture
def source(mainframe: SIM928) -> SIM928Port:
    found = mainframe.submodules["port3"]
    assert isinstance(found, SIM928Port)
    return found


@pytest.fixture
def panel(mainframe: SIM928) -> SIM900Panel:
    return panel_of(mainframe, SIM900Panel)


@pytest.fixture
def module(panel: SIM900Panel) -> VoltageModule:
    return panel.modules[3]


def prepare(source: SIM928Port, maximum: float = 1.0) -> None:
    source.prepare(maximum_voltage=maximum, maximum_current=1e-6, compliance=1e-6, integration_time=0.04)


def test_it_fills_the_role(source: SIM928Port) -> None:
    for protocol in (BiasSource, CoarselyLimited, CoarselyStepped):
        assert missing_members(source, protocol) == []


def test_it_prints_nothing(twin: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    SIM928("quiet", twin.addresses["source"], visalib=twin.visalib)
    assert capsys.readouterr().out == ""


def test_levels_and_output_are_those_of_the_module(
    source: SIM928Port, module: VoltageModule, panel: SIM900Panel
) -> None:
    prepare(source)
    assert not source.output_enabled()
    source.output_on()
    for level in (0.5, -0.1234, 0.0):
        source.set_level(level)
        reading = source.read()
        assert reading.voltage == source.level() == pytest.approx(module.level, abs=1e-12)
        assert abs(reading.voltage - level) <= 0.51 * source.level_step
        assert math.isnan(reading.current)
        assert panel.world.source.voltage == module.level
    source.output_off()
    assert not module.output


def test_prepare_moves_nothing(source: SIM928Port, module: VoltageModule) -> None:
    source.set_level(2.0)
    source.output_on()
    prepare(source, 5.0)
    assert (module.level, module.output) == (2.0, True)


@pytest.mark.parametrize("level", [math.nan, 20.1, -math.inf])
def test_what_it_cannot_source_is_not_sent(source: SIM928Port, module: VoltageModule, level: float) -> None:
    with pytest.raises(SettingError, match="nothing was sent"):
        source.set_level(level)
    assert module.level == 0.0


def test_a_range_that_it_has_not_is_refused(source: SIM928Port) -> None:
    with pytest.raises(SettingError, match="25 V is beyond 20 V"):
        prepare(source, 25.0)


def test_a_level_that_is_ignored_is_told(
    source: SIM928Port, module: VoltageModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_set_level", lambda argument: None)
    monkeypatch.setattr(module, "_switch", lambda on: None)
    with pytest.raises(SettingError, match=r"has the level 0 V where 1\.000 was written"):
        source.set_level(1.0)
    with pytest.raises(SettingError, match="output off after OPON"):
        source.output_on()


def test_an_overload_is_an_error_not_data(source: SIM928Port, module: VoltageModule) -> None:
    prepare(source)
    module.overload = 1
    with pytest.raises(ComplianceError, match=r"overload of its output \(OVSR 1, level 0 V\)"):
        source.read()
    module.overload = 8
    with pytest.raises(ReadingError, match="battery fault"):
        source.read()


def test_an_overload_before_the_preparation_is_none(source: SIM928Port, module: VoltageModule) -> None:
    module.overload = 2
    prepare(source)
    source.read()


def test_a_change_of_the_battery_is_noted(
    source: SIM928Port, module: VoltageModule, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(source)
    module.overload = 4
    source.read()
    assert "changed its battery" in caplog.text


@pytest.mark.parametrize("batteries", [(2, 2, 0), (1, 3, 1)])
def test_empty_batteries_are_told(source: SIM928Port, module: VoltageModule, batteries: tuple[int, int, int]) -> None:
    module.batteries = batteries
    with pytest.raises(ReadingError, match="reports its batteries as"):
        prepare(source)


def test_one_charged_battery_is_enough_and_noted(
    source: SIM928Port, module: VoltageModule, caplog: pytest.LogCaptureFixture
) -> None:
    module.batteries = (2, 1, 0)
    prepare(source)
    assert "no second battery" in caplog.text


def test_a_buffer_that_somebody_left_is_not_read(source: SIM928Port, panel: SIM900Panel) -> None:
    prepare(source)
    source.set_level(0.5)
    panel.receive(b'SNDT 3,"*IDN?"')
    panel.receive(b'SNDT 3,"EXON?"')
    assert source.level() == 0.5


def test_a_connection_that_a_killed_client_left_is_ended(twin: Twin) -> None:
    opened_wire(twin).write('CONN 1,"xyz"')
    mainframe = SIM928("first", twin.addresses["source"], visalib=twin.visalib, timeout=0.1)
    assert mainframe.modules == [1, 3, 5]
    mainframe.close()
    opened_wire(twin).write('CONN 3,"unusual"')
    with pytest.raises(CommunicationError, match=r"as a SIM900 but 'Stanford_Research_Systems,SIM928.*escape string"):
        SIM928("second", twin.addresses["source"], visalib=twin.visalib, timeout=0.1)


def test_a_connection_in_mid_run_is_an_error(mainframe: SIM928, source: SIM928Port, panel: SIM900Panel) -> None:
    prepare(source)
    panel.connected = (3, "xyz")
    with pytest.raises(InstrumentError, match="sim"):
        source.read()
    panel.connected = None
    assert source.level() == 0.0


def test_the_ports_share_one_mainframe(mainframe: SIM928, source: SIM928Port, panel: SIM900Panel) -> None:
    prepare(source)
    mainframe.volt_5(1.5)
    source.set_level(0.25)
    mainframe.volt_1(-2.0)
    assert [panel.modules[port].level for port in (1, 3, 5)] == [-2.0, 0.25, 1.5]
    assert (mainframe.volt_5(), source.level()) == (1.5, 0.25)
    mainframe.snapshot(update=True)


def test_a_module_that_is_taken_out_is_told(source: SIM928Port, module: VoltageModule) -> None:
    module.identification = "Stanford_Research_Systems,SIM970,s/n1,ver1"
    with pytest.raises(SettingError, match="a SIM928 is needed"):
        prepare(source)
    module.execute = lambda message: b""  # type: ignore[method-assign]  # it is silent
    with pytest.raises(CommunicationError, match=r"VOLT\? of port 3"):
        source.level()


def test_a_lost_connection_is_told(mainframe: SIM928, source: SIM928Port) -> None:
    mainframe.visa_handle.close()
    with pytest.raises(CommunicationError, match="sim"):
        source.set_level(0.1)
    with pytest.raises(CommunicationError):
        source.read()


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(twin: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim900, "ANSWER_TIME", 0.0)  # without a hundred queries of the number of bytes
    right, at = 0, 0
    clean: list[float] = []
    for at in range(400):
        mainframe = SIM928(f"swapped{at}", twin.addresses["source"], visalib=twin.visalib, timeout=0.2)
        panel = panel_of(mainframe, SIM900Panel)
        panel.switch_on()
        behind = Behind(panel, at or None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel, "execute", behind.execute)
            mainframe.log.setLevel("CRITICAL")
            found: list[float] = []
            try:
                source = mainframe.submodules["port3"]
                mainframe.write_module(3, "TERM LF")
                prepare(source)
                source.output_on()
                for level in (0.5, -0.7, -0.7):
                    source.set_level(level)
                    found += [source.read().voltage, source.level()]
                panel.modules[3].level = 0.9
                found += [source.level(), float(source.output_enabled()), float(mainframe.volt_5())]
            except InstrumentError as error:
                assert f"swapped{at}" in str(error)
                found = []
        mainframe.close()
        clean = clean or found
        assert not found or found == clean, behind.asked
        right += bool(found)
        if at and not behind.asked:
            break
    assert 20 < at < 399
    assert right > 5


TEXTS = st.binary(max_size=30) | st.text("0123456789+-.eE,#3\n\r ", max_size=30).map(str.encode)


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(answers=st.lists(TEXTS, max_size=8), action=st.sampled_from(("read", "level", "prepare", "output_enabled")))
def test_any_answer_is_a_number_or_an_error_of_ours(
    mainframe: SIM928, source: SIM928Port, panel: SIM900Panel, answers: list[bytes], action: str
) -> None:
    mainframe.log.setLevel("CRITICAL")
    mainframe._in_step = True
    left = list(answers)
    panel.drain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel, "execute", lambda message: [left.pop()] if left and "?" in message else [])
        try:
            found = prepare(source) if action == "prepare" else getattr(source, action)()
        except InstrumentError as error:
            assert "sim" in str(error)
        else:
            assert found is None or math.isfinite(getattr(found, "voltage", found))
