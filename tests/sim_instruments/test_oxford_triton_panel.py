"""The Triton's panel at a TCP socket, with the unmodified driver of QCoDeS."""

from collections.abc import Iterator
from typing import cast

import pytest
import pyvisa
from qcodes.instrument_drivers.oxford import OxfordTriton

from sim_instruments import Twin
from sim_instruments.panels.oxford_triton import OxfordTritonPanel
from sim_instruments.visa import LabnisVisaLibrary
from tests.served_panel import served
from tests.triton_twin import triton_twin  # noqa: F401  # a fixture


@pytest.fixture
def panel(twin: Twin) -> OxfordTritonPanel:
    library = pyvisa.ResourceManager(twin.visalib).visalib
    return cast(OxfordTritonPanel, cast(LabnisVisaLibrary, library).panels["triton"])


@pytest.fixture
def triton(panel: OxfordTritonPanel) -> Iterator[OxfordTriton]:
    with served(panel) as port:
        found = OxfordTriton("upstream", address="127.0.0.1", port=port, timeout=2)
        yield found
        found.close()


def test_qcodes_reads_the_stages_by_name_and_by_number(triton: OxfordTriton, panel: OxfordTritonPanel) -> None:
    truth = panel.world.truth.fridge
    assert triton.get_idn() == {
        "vendor": "OXFORD INSTRUMENTS", "model": "TRITON", "serial": "TWIN0061", "firmware": "2.6"
    }  # fmt: skip
    assert triton.MC() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
    assert triton.T8() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
    assert triton.STIL() == pytest.approx(truth.still_temperature, rel=0.02)
    assert triton.T5() is None  # there is no such channel: QCoDeS's driver has None for NOT_FOUND
    assert triton.magnet_available is False


def test_qcodes_sets_the_loop_and_the_channels(triton: OxfordTriton, panel: OxfordTritonPanel) -> None:
    triton.pid_control_channel(8)
    triton.pid_setpoint(0.05)
    triton.pid_range(1)
    assert triton.pid_control_channel() == 8
    assert triton.pid_setpoint() == 0.05
    assert triton.pid_range() == 1
    triton.T3_state("off")
    assert triton.T3_state() == "off"
    assert panel.enabled[3] is False
    triton.snapshot(update=True)


def test_qcodes_heats_the_stage_with_its_loop(triton: OxfordTriton, panel: OxfordTritonPanel) -> None:
    triton.pid_control_channel(8)
    for name, value in {"p": 4.0, "i": 8.0, "d": 0.5, "rate": 0.02, "range": 3.16, "ramp": "off", "mode": "on"}.items():
        triton.parameters[f"pid_{name}"](value)
        assert triton.parameters[f"pid_{name}"]() == value
    assert triton.pid_setpoint() == pytest.approx(panel.world.truth.fridge.mixing_chamber_temperature, rel=0.1)
    triton.pid_setpoint(0.1)
    panel.world.clock.sleep(300.0)
    below = triton.MC()
    assert 0.02 < below < 0.1
    panel.world.clock.sleep(3000.0)
    assert triton.MC() == pytest.approx(0.1, rel=0.02)
    triton.pid_mode("off")
    assert panel.world.stage.given(panel.world.clock.time()) == 0


def test_a_channel_that_is_not_enabled_keeps_its_last_value(triton: OxfordTriton, panel: OxfordTritonPanel) -> None:
    """QCoDeS's driver does not notice it."""
    triton.T8_state("off")
    last = triton.T8()
    panel.world.heat_stage(10e-3)
    panel.world.clock.sleep(3600.0)
    assert triton.T8() == last
    triton.T8_state("on")
    assert triton.T8() > 2 * last


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        ("READ:DEV:T0:TEMP:SIG:TEMP", "STAT:DEV:T0:TEMP:SIG:TEMP:NOT_FOUND"),
        ("READ:SYS:DR:CHAN:MC", "STAT:SYS:DR:CHAN:MC:T8"),
        ("READ:SYS:DR:CHAN:SORB", "STAT:SYS:DR:CHAN:SORB:NONE"),
        ("READ:NOTHING", "STAT:NOTHING:INVALID"),
        ("SET:DEV:T8:TEMP:MEAS:ENAB:MAYBE", "STAT:SET:DEV:T8:TEMP:MEAS:ENAB:MAYBE:INVALID"),
        ("NONSENSE", "INVALID"),
    ],
)
def test_each_message_is_answered(panel: OxfordTritonPanel, message: str, answer: str) -> None:
    panel.receive(message.encode() + b"\r\n")
    assert panel.drain().decode() == answer + "\n"


def said(panel: OxfordTritonPanel, message: str) -> str:
    """The value at the end of an answer."""
    panel.receive(message.encode() + b"\r\n")
    return panel.drain().decode().strip().rpartition(":")[2]


@pytest.mark.parametrize(
    "setting",
    [
        "RANGE:0.5", "RANGE:0", "RANGE:-1", "RANGE:1A", "RANGE:", "TSET:401", "TSET:nan", "TSET:1:2", "MODE:AUTO",
        "MODE:1", "RAMP:ENAB:YES", "RAMP:1", "P:-1", "NOTHING:1", "HTR:H2",
    ],
)  # fmt: skip
def test_a_setting_that_is_not_possible_is_invalid(panel: OxfordTritonPanel, setting: str) -> None:
    before = dict(panel.loop)
    assert said(panel, f"SET:DEV:T8:TEMP:LOOP:{setting}") == "INVALID"
    assert panel.loop == before


def test_the_loop_belongs_to_one_channel(panel: OxfordTritonPanel) -> None:
    assert said(panel, "SET:DEV:T2:TEMP:LOOP:TSET:1") == "INVALID"
    assert said(panel, "READ:DEV:T2:TEMP:LOOP:TSET") == "NOT_FOUND"
    assert said(panel, "SET:DEV:T2:TEMP:LOOP:HTR:H1") == "VALID"
    assert said(panel, "READ:DEV:T8:TEMP:LOOP:TSET") == "NOT_FOUND"
    for setting in ("RANGE:10", "MODE:ON", "TSET:2"):
        assert said(panel, f"SET:DEV:T2:TEMP:LOOP:{setting}") == "VALID"
    assert panel.world.stage.given(panel.world.clock.time()) == 0  # the still has no heater here


def test_the_range_limits_the_power(panel: OxfordTritonPanel) -> None:
    for setting in ("RANGE:0.316", "MODE:ON", "TSET:0.2"):
        assert said(panel, f"SET:DEV:T8:TEMP:LOOP:{setting}") == "VALID"
    panel.world.clock.sleep(7200.0)
    fridge = panel.world.truth.fridge
    warmest = (fridge.mixing_chamber_temperature**2 + 9.9856e-6 / fridge.stage_cooling) ** 0.5
    assert panel.world.bath_temperature() == pytest.approx(warmest)
    assert said(panel, "READ:DEV:H1:HTR:SIG:POWR") == "9.986uW"
    assert said(panel, "READ:DEV:H1:HTR:RES") == "100Ohm"
    assert said(panel, "SET:DEV:H1:HTR:SIG:POWR:5") == "INVALID"  # not by hand in a closed loop
    said(panel, "SET:DEV:T8:TEMP:LOOP:RANGE:100")
    panel.world.clock.sleep(3600.0)
    held = fridge.stage_cooling * (0.2**2 - fridge.mixing_chamber_temperature**2)
    assert float(said(panel, "READ:DEV:H1:HTR:SIG:POWR").removesuffix("uW")) == pytest.approx(1e6 * held, rel=0.05)


def test_the_power_by_hand_is_limited_too_and_comes_back_when_the_loop_is_opened(panel: OxfordTritonPanel) -> None:
    said(panel, "SET:DEV:T8:TEMP:LOOP:RANGE:1")
    for given, shown in ((50, "50.000uW"), (500, "100.000uW")):
        assert said(panel, f"SET:DEV:H1:HTR:SIG:POWR:{given}") == "VALID"
        assert said(panel, "READ:DEV:H1:HTR:SIG:POWR") == shown
    assert said(panel, "SET:DEV:H1:HTR:SIG:POWR:-1") == "INVALID"
    said(panel, "SET:DEV:T8:TEMP:LOOP:MODE:ON")
    said(panel, "SET:DEV:T8:TEMP:LOOP:TSET:0")
    assert said(panel, "READ:DEV:H1:HTR:SIG:POWR") == "0.000uW"
    said(panel, "SET:DEV:T8:TEMP:LOOP:MODE:OFF")
    assert said(panel, "READ:DEV:H1:HTR:SIG:POWR") == "100.000uW"
    panel.switch_on()
    assert said(panel, "READ:DEV:H1:HTR:SIG:POWR") == "0.000uW"
