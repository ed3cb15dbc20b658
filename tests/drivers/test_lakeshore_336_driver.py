"""The Lake Shore 336 as a thermometer and as the heater of the stage."""

from pathlib import Path
from typing import cast

import pytest
import qcodes.instrument.sims
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import CommunicationError, InstrumentError, ReadingError, SettingError
from drivers.lakeshore_336 import LakeShore336
from drivers.roles import Thermometer
from drivers.stage_heater import StageHeater
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.lakeshore_336 import LakeShore336Panel
from sim_instruments.visa import LabnisVisaLibrary
from tests.lakeshore_336_twin import lakeshore_336_twin  # noqa: F401  # a fixture


@pytest.fixture
def bridge(twin: Twin) -> LakeShore336:
    return LakeShore336("bridge", twin.addresses["bridge"], visalib=twin.visalib, timeout=0.5)


@pytest.fixture
def panel(bridge: LakeShore336) -> LakeShore336Panel:
    library = cast(LabnisVisaLibrary, bridge.visa_handle.visalib)
    return cast(LakeShore336Panel, library.panels["bridge"])


def test_it_fills_both_roles_and_reads_every_stage(bridge: LakeShore336, panel: LakeShore336Panel) -> None:
    assert missing_members(bridge, Thermometer) == []
    assert missing_members(bridge, StageHeater) == []
    truth = panel.world.truth.fridge
    assert bridge.temperature() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
    assert bridge.channel_temperature("C") == pytest.approx(truth.four_kelvin_temperature, rel=0.02)
    assert bridge.get_idn()["model"] == "336"


def test_a_snapshot_asks_nothing_that_the_voltage_outputs_do_not_answer(
    bridge: LakeShore336, panel: LakeShore336Panel
) -> None:
    found = bridge.snapshot(update=True)["submodules"]
    assert panel.event_status & 48 == 0
    assert found["output_1"]["parameters"]["output"]["value"] == 0.0
    assert found["output_3"]["parameters"]["mode"]["value"] == "off"
    assert "output" not in found["output_3"]["parameters"]


def test_a_disabled_input_is_an_error(bridge: LakeShore336) -> None:
    bridge.write("INTYPE A,0,0,0,0,1")
    with pytest.raises(ReadingError, match=r"input A has no valid reading: invalid reading .RDGST. 1"):
        bridge.temperature()


@pytest.mark.parametrize("channel", ["E", "a", 1, None])
def test_an_input_that_does_not_exist_is_refused(twin: Twin, channel: object) -> None:
    with pytest.raises(ValueError, match="inputs A to D"):
        LakeShore336("other", twin.addresses["bridge"], channel=channel, visalib=twin.visalib)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limit", "power", "expected"),
    [
        ("2,2,0.1,1", 60.0, 3),
        ("2,2,0.1,1", 5.0, 2),
        ("2,2,0.1,1", 0.5, 1),
        ("2,0,0.1,1", 0.02, 1),
        ("2,1,0.1,1", 25, 3),
    ],
)
def test_the_largest_range_that_the_power_allows_is_taken(
    bridge: LakeShore336, panel: LakeShore336Panel, limit: str, power: float, expected: int
) -> None:
    bridge.write(f"HTRSET 1,{limit}")
    bridge.prepare(maximum_power=power, heater_resistance=50.0)
    assert not bridge.output_enabled()
    bridge.output_on()
    assert panel.state["RANGE"][1] == (expected,)
    assert panel.state["OUTMODE"][1] == (1, 1, 0)
    assert bridge.level() == pytest.approx(bridge.temperature(), rel=0.02)
    bridge.output_off()
    assert not bridge.output_enabled()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [(b"2,2,+0.1000,1", 2), (b"0,2,2,+0.1000,1", 2), (b"0,2,0,+0.1000,1", 3), (b"2,4,+0.1,1", 1)],
)
def test_both_forms_of_the_largest_current_are_understood(
    bridge: LakeShore336, panel: LakeShore336Panel, answer: bytes, expected: int
) -> None:
    honest = panel.execute
    panel.execute = lambda message: [answer] if message.startswith("HTRSET?") else honest(message)  # type: ignore[method-assign]
    bridge.prepare(maximum_power=5.0, heater_resistance=50.0)
    bridge.output_on()
    assert panel.state["RANGE"][1] == (expected,)
    panel.execute = lambda message: [b"2,7,+0.1,1"] if message.startswith("HTRSET?") else honest(message)  # type: ignore[method-assign]
    with pytest.raises(SettingError, match="largest current of output 1 is not known"):
        bridge.prepare(maximum_power=5.0, heater_resistance=50.0)


def test_the_stage_is_held_at_its_setpoint(bridge: LakeShore336, panel: LakeShore336Panel) -> None:
    bridge.prepare(maximum_power=0.6, heater_resistance=50.0)
    bridge.output_on()
    bridge.set_level(0.25)
    panel.world.clock.sleep(3600.0)
    assert bridge.temperature() == pytest.approx(0.25, rel=0.02)


def test_a_heater_whose_power_is_not_bounded_is_not_switched_on(bridge: LakeShore336) -> None:
    with pytest.raises(SettingError, match=r"with up to 1 A .* in 50 ohm, gives up to 0.5 W, more than maximum_power"):
        bridge.prepare(maximum_power=10e-3, heater_resistance=50.0)
    with pytest.raises(SettingError, match="range of its heater is not known"):
        bridge.output_on()
    assert not bridge.output_enabled()


@pytest.mark.parametrize("units", [2, 3])
def test_a_setpoint_in_another_unit_is_refused(bridge: LakeShore336, units: int) -> None:
    bridge.write(f"INTYPE A,3,1,6,1,{units}")
    with pytest.raises(SettingError, match="the unit of input A is not kelvin"):
        bridge.prepare(maximum_power=60.0, heater_resistance=50.0)
    assert not bridge.output_enabled()


def test_what_was_left_behind_is_set(bridge: LakeShore336, panel: LakeShore336Panel) -> None:
    for setting in ("OUTMODE 1,3,2,1", "MOUT 1,50", "RANGE 1,1", "RAMP 1,1,0.5"):
        bridge.write(setting)
    bridge.prepare(maximum_power=60.0, heater_resistance=50.0)
    assert panel.state["OUTMODE"][1] == (1, 1, 0)
    assert panel.state["RANGE"][1] == (0,)
    assert panel.state["RAMP"][1][0] == 0
    bridge.ask("*ESR?")
    bridge.check_errors()


def test_a_setting_that_is_ignored_is_found(bridge: LakeShore336, panel: LakeShore336Panel) -> None:
    honest = panel.execute

    def ignoring(message: str) -> list[bytes]:
        return [] if message.startswith("OUTMODE 1") else honest(message)

    panel.execute = ignoring  # type: ignore[method-assign]
    with pytest.raises(SettingError, match=r"OUTMODE. 1 reads 0,1,0 where 1,1,0 was requested"):
        bridge.prepare(maximum_power=60.0, heater_resistance=50.0)
    assert not bridge.output_enabled()


def test_the_simulation_of_qcodes() -> None:
    path = Path(qcodes.instrument.sims.__file__).with_name("lakeshore_model336.yaml")
    bridge = LakeShore336("shipped", "GPIB::2::INSTR", visalib=f"{path}@sim", timeout=0.5)
    assert bridge.get_idn()["firmware"] == "0.0.01"
    # It answers a status of 0 and 100 K at every input, and the HTRSET of a 335.
    assert [bridge.channel_temperature(channel) for channel in "ABCD"] == [100.0, 100.0, 100.0, 100.0]
    with pytest.raises(CommunicationError, match=r"HTRSET. 1|'1,2,0'"):
        bridge.prepare(maximum_power=1e9, heater_resistance=50.0)
    bridge.close()


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(answers=st.lists(st.text("0123456789+-.eE,naif \t", max_size=14), min_size=1, max_size=8))
def test_any_answer_is_a_temperature_or_an_error_of_ours(
    bridge: LakeShore336, panel: LakeShore336Panel, answers: list[str]
) -> None:
    honest, left = panel.execute, [answer.encode() for answer in answers]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            panel, "execute", lambda message: [left.pop()] if left and "IDN" not in message else honest(message)
        )
        try:
            assert 1e-3 <= bridge.temperature() <= 420.0
        except InstrumentError as error:
            assert "bridge" in str(error)
