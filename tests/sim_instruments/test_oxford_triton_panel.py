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
