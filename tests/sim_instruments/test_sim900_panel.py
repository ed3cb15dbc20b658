"""The SIM900's front panel with SIM928: the unmodified driver of qcodes_contrib_drivers, buffers, connections."""

import pytest
from pyvisa.resources import MessageBasedResource
from qcodes_contrib_drivers.drivers.StanfordResearchSystems.SIM928 import SIM928

from sim_instruments import Twin
from tests.sim900_twin import sim900_twin  # noqa: F401  # a fixture
from tests.single_instrument_twin import opened_wire


@pytest.fixture
def wire(twin: Twin) -> MessageBasedResource:
    opened = opened_wire(twin)
    opened.read_termination = "\r\n"
    return opened


def asked(wire: MessageBasedResource, twin: Twin, message: str) -> str:
    """The answer of the module in port 3, as it is in its buffer."""
    wire.write(f'SNDT 3,"{message}"')
    twin.clock.sleep(0.1)
    wire.write("GETN? 3,80")
    head = wire.read_bytes(5)
    answer = wire.read_bytes(int(head[2:]))
    assert wire.read_bytes(2) == b"\r\n"
    return (head + answer).decode()


def test_qcodes_contrib_driver(twin: Twin) -> None:
    sim = SIM928("sim", twin.addresses["source"], visalib=twin.visalib, slot_names={3: "bias"})
    assert sim.IDN()["model"] == "SIM900"
    assert sim.modules == [1, 3, 5]
    assert sim.get_module_idn("bias")["model"] == "SIM928"
    sim.volt_bias(0.5)
    assert sim.volt_bias() == 0.5
    sim.volt_bias_step(0.2)
    sim.smooth_timestep(0.01)
    sim.set_smooth({"bias": 1.0, 5: -0.1})
    assert (sim.volt_bias(), sim.volt_5()) == (1.0, -0.1)
    sim.snapshot(update=True)
    assert sim.check_module_errors("bias") == []
    sim.write_module("bias", "VOLT 21")
    with pytest.raises(Exception, match="Execution Error: Illegal value"):
        sim.check_module_errors("bias")
    sim.write_module("bias", "VOLTS 2")
    with pytest.raises(Exception, match="Command Error"):
        sim.check_module_errors("bias")
    assert sim.volt_bias() == 1.0


def test_an_answer_has_the_terminator_of_the_module_and_that_of_the_mainframe(
    wire: MessageBasedResource, twin: Twin
) -> None:
    assert asked(wire, twin, "VOLT?") == "#3008+0.000\r\n"
    wire.write('SNDT 3,"TERM LF"')
    assert asked(wire, twin, "VOLT?") == "#3007+0.000\n"


def test_old_bytes_come_first(wire: MessageBasedResource, twin: Twin) -> None:
    wire.write('SNDT 3,"TERM LF"')
    wire.write('SNDT 3,"VOLT?"')
    assert asked(wire, twin, "EXON?") == "#3009+0.000\n0\n"
    wire.write('SNDT 3,"VOLT?"')
    twin.clock.sleep(0.1)
    assert int(wire.query("NINP? 3")) == 7
    wire.write("FLSH 3")
    assert int(wire.query("NINP? 3")) == 0


def test_a_module_needs_time_to_answer(wire: MessageBasedResource) -> None:
    wire.write('SNDT 3,"VOLT?"')
    wire.write("GETN? 3,80")
    assert wire.read_raw() == b"#3000\r\n"


def test_a_level_has_steps_of_a_millivolt(wire: MessageBasedResource, twin: Twin) -> None:
    wire.write('SNDT 3,"VOLT 1.23456"')
    assert asked(wire, twin, "VOLT?").startswith("#3008+1.235")
    wire.write('SNDT 3,"OPON"')
    assert asked(wire, twin, "EXON?") == "#30031\r\n"
    assert asked(wire, twin, "BATS?") == "#30071,3,0\r\n"


def test_a_connection_passes_everything_to_the_module(wire: MessageBasedResource) -> None:
    assert "SIM900" in wire.query("*IDN?")
    wire.write('CONN 3,"xyz"')
    assert "SIM928" in wire.query("*IDN?")
    wire.clear()
    assert "SIM928" in wire.query("*IDN?")
    wire.write("xyz")
    assert "SIM900" in wire.query("*IDN?")
