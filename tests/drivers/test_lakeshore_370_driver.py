"""The Lake Shore 370 as a thermometer and as the heater of the stage, and its panel."""

from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.errors import InstrumentError, ReadingError, SettingError
from drivers.lakeshore_370 import LakeShore370
from drivers.roles import Thermometer
from drivers.stage_heater import StageHeater
from labnis.station.role_check import missing_members
from sim_instruments import Twin
from sim_instruments.panels.lakeshore_370 import LakeShore370Panel
from sim_instruments.visa import LabnisVisaLibrary
from tests.lakeshore_370_twin import lakeshore_370_twin  # noqa: F401  # a fixture


@pytest.fixture
def bridge(twin: Twin) -> LakeShore370:
    return LakeShore370("bridge", twin.addresses["bridge"], visalib=twin.visalib, timeout=0.5)


@pytest.fixture
def panel(bridge: LakeShore370) -> LakeShore370Panel:
    library = cast(LabnisVisaLibrary, bridge.visa_handle.visalib)
    return cast(LakeShore370Panel, library.panels["bridge"])


def test_it_fills_both_roles_and_reads_every_stage(bridge: LakeShore370, panel: LakeShore370Panel) -> None:
    assert missing_members(bridge, Thermometer) == []
    assert missing_members(bridge, StageHeater) == []
    truth = panel.world.truth.fridge
    assert bridge.temperature() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
    assert bridge.channel_temperature(5) == pytest.approx(truth.still_temperature, rel=0.02)
    assert bridge.get_idn()["model"] == "370"
    bridge.snapshot(update=True)
    bridge.ask("*ESR?")
    bridge.check_errors()


def test_an_input_without_sensor_and_one_that_is_not_scanned_are_errors(bridge: LakeShore370) -> None:
    with pytest.raises(ReadingError, match=r"input 7 has no valid reading: R\. OVER"):
        bridge.channel_temperature(7)
    bridge.write("SCAN 5,0")
    with pytest.raises(ReadingError, match="input 1 is not measured"):
        bridge.temperature()
    with pytest.raises(ValueError, match="a Lake Shore 370 has inputs 1 to 16"):
        LakeShore370("other", "GPIB::1::INSTR", channel=17)


def test_the_loop_is_closed_in_the_largest_range_that_the_power_allows(
    bridge: LakeShore370, panel: LakeShore370Panel
) -> None:
    for setting in ("CSET 5,1,2,9,2,8,50", "CMODE 3", "MOUT 50", "HTRRNG 3"):  # as somebody has left it
        bridge.write(setting)
    bridge.prepare(maximum_power=10e-3, heater_resistance=100.0)
    assert not bridge.output_enabled()
    assert panel.loop == (1, 0, 1, 5, 1, 6, 100.0)
    bridge.output_on()
    assert panel.state["HTRRNG"] == 6
    bridge.set_level(0.2)
    panel.world.clock.sleep(3600.0)
    assert bridge.temperature() == pytest.approx(0.2, rel=0.02)
    assert bridge.level() == pytest.approx(0.2)
    bridge.write("HTRRNG 7")  # above the highest range: refused by the instrument
    assert panel.state["HTRRNG"] == 6
    bridge.output_off()
    assert not bridge.output_enabled()


def test_what_is_not_bounded_or_ramps_is_refused(bridge: LakeShore370, panel: LakeShore370Panel) -> None:
    with pytest.raises(SettingError, match=r"gives up to 9.99e-08 W, more than maximum_power"):
        bridge.prepare(maximum_power=5e-8, heater_resistance=100.0)
    bridge.write("RAMP 1,0.5")
    with pytest.raises(SettingError, match=r"a ramp of the set-point is on .RAMP. 1,"):
        bridge.prepare(maximum_power=10e-3, heater_resistance=100.0)
    bridge.write("RAMP 0,0.5")
    honest = panel.execute
    panel.execute = lambda message: [] if message.startswith("CSET ") else honest(message)  # type: ignore[method-assign]
    with pytest.raises(SettingError, match=r"CSET\? reads"):
        bridge.prepare(maximum_power=1e-3, heater_resistance=50.0)
    assert not bridge.output_enabled()


@pytest.mark.parametrize(
    ("message", "bit"),
    [("RDGK? 17", 16), ("HTRRNG 9", 16), ("CSET 1,0", 32), ("KRDG? 1", 32), ("CSET 1,0,3,5,1,8,100", 16)],
)
def test_the_panel_rejects_what_a_370_does_not_have(panel: LakeShore370Panel, message: str, bit: int) -> None:
    panel.clear_status()
    panel.receive(message.encode())
    assert panel.event_status == bit
    assert panel.drain() == b""


@pytest.mark.faults
def test_one_swapped_answer_never_makes_a_wrong_number(bridge: LakeShore370, panel: LakeShore370Panel) -> None:
    channels = (1, 5, 5, 2, 1, 1)
    clean = [bridge.channel_temperature(channel) for channel in channels]
    honest, at, right = panel.execute, 0, 0
    while True:
        before: list[list[bytes]] = [[b""]]
        answered = [0]

        def behind(message: str, at: int = at, before: list = before, answered: list = answered) -> list[bytes]:
            answer = honest(message)
            answered[0] += 1
            swapped = before[0] if answered[0] == at + 1 else answer
            before[0] = answer
            return swapped

        panel.execute = behind  # type: ignore[method-assign]
        try:
            assert np.allclose([bridge.channel_temperature(channel) for channel in channels], clean, rtol=0.05)
            right += 1
        except InstrumentError as error:
            assert "bridge" in str(error)
        panel.execute = honest  # type: ignore[method-assign]
        at += 1
        if answered[0] < at:
            break
    assert right > 5


@pytest.mark.faults
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(answers=st.lists(st.text("0123456789+-.eE,naif \t", max_size=14), min_size=1, max_size=8))
def test_any_answer_is_a_temperature_or_an_error_of_ours(
    bridge: LakeShore370, panel: LakeShore370Panel, answers: list[str]
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
