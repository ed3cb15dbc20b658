"""The panel of Copper Mountain's program: unmodified drivers of QCoDeS and its contributors, triggers, quirks."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import pyvisa
from pyvisa.resources import MessageBasedResource
from qcodes.instrument_drivers.CopperMountain import CopperMountainM5065, CopperMountainM5180

from sim_instruments import Twin
from tests.vna_twin import panel_of, true_reflection, vna_twin

NO_ERROR = "0, No error"
START, STOP, POINTS = 4.62e9, 4.72e9, 51
AXIS = np.linspace(START, STOP, POINTS)


@pytest.fixture(name="twin", params=["CopperMountainM5065"])
def copper_twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    with vna_twin(request.param) as twin:
        yield twin


@pytest.fixture
def visa(twin: Twin) -> MessageBasedResource:
    resource = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["vna"])
    assert isinstance(resource, MessageBasedResource)
    resource.read_termination = resource.write_termination = "\n"
    resource.timeout = 100_000
    return resource


def require_right(panel: Any, magnitude: Any, phase: Any) -> None:
    expected = true_reflection(panel, AXIS)
    np.testing.assert_allclose(
        10 ** (magnitude / 20) * np.exp(1j * phase), expected, atol=0.1 * np.max(np.abs(expected))
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of text in np.fromstring
@pytest.mark.parametrize(
    ("twin", "kind"),
    [("CopperMountainM5065", CopperMountainM5065), ("CopperMountainM5180", CopperMountainM5180)],
    indirect=["twin"],
)
def test_qcodes_drivers(twin: Twin, kind: Any) -> None:
    vna = kind("vna", twin.addresses["vna"], visalib=twin.visalib)
    assert vna.get_idn()["vendor"] == "CMT"
    vna.output(True)
    vna.power(-10)
    vna.if_bandwidth(1000)
    vna.stop(STOP)
    vna.start(START)
    vna.number_of_points(POINTS)
    vna.averages(4)
    vna.averages_enabled(True)
    require_right(panel_of(vna), *vna.s11())
    frequencies, magnitude, phase, *_ = vna.get_s_parameters()
    np.testing.assert_allclose(frequencies, AXIS)
    require_right(panel_of(vna), magnitude, phase)
    vna.start(4.67e9 - 1)
    vna.stop(4.67e9)
    vna.number_of_points(2)
    assert np.isfinite(vna.point_s11()).all()
    vna.trigger_source("internal")
    vna.clock_source("INT")
    vna.electrical_delay(1e-9)
    parameters = vna.snapshot(update=True)["parameters"]
    assert (parameters["electrical_delay"]["value"], parameters["trigger_source"]["value"]) == (1e-9, "internal")
    assert vna.ask("SYST:ERR?") == NO_ERROR
    # Defects of that driver: points in place of colons, and the last three letters of a parameter's name.
    vna.reset_averages()
    assert vna.ask("SYST:ERR?").startswith("-1")
    vna.point_check_sweep_first(False)
    vna.point_s11_iq()
    assert vna.ask("SYST:ERR?").startswith("-224,")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("twin", ["M5180"], indirect=True)
def test_contrib_m5180(twin: Twin) -> None:
    module = pytest.importorskip("qcodes_contrib_drivers.drivers.CopperMountain.M5180")
    vna = module.M5180("vna", twin.addresses["vna"], visalib=twin.visalib)
    vna.power(-10)
    vna.if_bandwidth(1000)
    vna.stop(STOP)
    vna.start(START)
    vna.npts(POINTS)
    magnitude, phase = vna.s11()
    require_right(panel_of(vna), magnitude, phase)
    vna.snapshot(update=True)
    assert vna.ask("SYST:ERR?") == NO_ERROR


def test_a_trigger_comes_once_it_is_awaited(visa: MessageBasedResource, twin: Twin) -> None:
    visa.write("SENS1:SWE:POIN 11;:INIT1:CONT OFF;:TRIG:SING")
    assert visa.query("SYST:ERR?").startswith("-211,")
    visa.write("TRIG:SOUR BUS;:TRIG:SING")
    assert visa.query("SYST:ERR?").startswith("-211,")  # it does not wait
    before = twin.clock.time()
    visa.write("INIT1;:TRIG:SING;*OPC")
    assert int(visa.query("*ESR?")) & 1 == 0
    assert visa.query("*OPC?") == "1"
    assert twin.clock.time() - before == pytest.approx(11 * (1.2e-4 + 7e-5), rel=0.5, abs=0.01)
    assert len(visa.query_ascii_values("CALC1:TRAC1:DATA:SDAT?")) == 22
    visa.write("TRIG:SING")
    assert visa.query("SYST:ERR?").startswith("-211,")


def test_one_trigger_for_all_averages(visa: MessageBasedResource, twin: Twin) -> None:
    visa.write("SENS1:SWE:POIN 101;:SENS1:BWID 1E3;:SENS1:AVER ON;:SENS1:AVER:COUN 10;:TRIG:SOUR BUS")
    times = []
    for average in ("OFF", "ON"):
        before = twin.clock.time()
        assert visa.query(f"TRIG:AVER {average};:TRIG:SING;*OPC?") == "1"
        times.append(twin.clock.time() - before)
    assert times[1] / times[0] == pytest.approx(10, rel=0.05)


def test_the_program_answers_without_the_analyzer(visa: MessageBasedResource, twin: Twin) -> None:
    panel = visa.visalib.panels["vna"]  # type: ignore[attr-defined]
    visa.query("SENS1:SWE:POIN 11;:TRIG:SOUR BUS;:TRIG:SING;*OPC?")
    panel.connected = False
    assert visa.query("SYST:READ?") == "0"
    assert visa.query("*IDN?").startswith("CMT, M5065")
    assert len(visa.query("CALC1:TRAC1:DATA:SDAT?").split(",")) == 22  # the last data
    visa.timeout = 10
    with pytest.raises(pyvisa.VisaIOError):
        visa.query("TRIG:SING;*OPC?")


def test_complex_data_have_the_processing_of_the_trace(visa: MessageBasedResource) -> None:
    visa.query("SENS1:SWE:POIN 11;:TRIG:SOUR BUS;:TRIG:SING;*OPC?")
    plain = visa.query("CALC1:TRAC1:DATA:SDAT?")
    visa.write("CALC1:CORR:EDEL:TIME 1E-9")
    assert visa.query("CALC1:TRAC1:DATA:SDAT?") != plain
    visa.write("CALC1:CORR:EDEL:TIME 0;:CALC1:TRAC1:FORM PHAS")
    assert visa.query("CALC1:TRAC1:DATA:SDAT?") == plain
    visa.write("FORM:DATA REAL;:FORM:BORD SWAP")
    values = visa.query_binary_values("CALC1:TRAC1:DATA:SDAT?", datatype="d", is_big_endian=False)
    np.testing.assert_allclose(values, [float(text) for text in plain.split(",")], rtol=1e-10)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("SENS1:FREQ:STOP 7E9", -222),
        ("SOUR1:POW 6", -222),
        ("CALC1:PAR3:DEF S11", -114),
        ("CALC1:PAR1:DEF S33", -224),
        ("SENS1:SWE:POIN 1", -222),
    ],
)
def test_rejected_commands(visa: MessageBasedResource, message: str, code: int) -> None:
    visa.write(message)
    assert visa.query("SYST:ERR?").startswith(f"{code},")
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_a_table_of_segments(visa: MessageBasedResource) -> None:
    """As the manual of the TR series and the programs of users write it."""
    visa.write("SOUR1:POW -10;:SENS1:BWID 100;:CALC1:PAR1:DEF S11;:FORM:DATA ASC")
    visa.write("SENS1:SWE:TYPE SEGM;:SENS1:SEGM:DATA 5,0,1,1,0,0,2,4.62E9,4.65E9,11,100,-10,4.66E9,4.68E9,41,110,-99")
    table = visa.query_ascii_values("SENS1:SEGM:DATA?")
    # An IF bandwidth between two is rounded up, a power beyond the range is the nearest one.
    assert table == [5, 0, 1, 1, 0, 0, 2, 4.62e9, 4.65e9, 11, 100, -10, 4.66e9, 4.68e9, 41, 150, -55]
    axis = np.concatenate([np.linspace(4.62e9, 4.65e9, 11), np.linspace(4.66e9, 4.68e9, 41)])
    np.testing.assert_allclose(visa.query_ascii_values("SENS1:FREQ:DATA?"), axis)
    visa.write("SENS1:SEGM:DATA 5,1,0,0,0,0,1,4.67E9,20E6,41")
    np.testing.assert_allclose(visa.query_ascii_values("SENS1:FREQ:DATA?"), axis[11:])
    assert visa.query_ascii_values("SENS1:SEGM:DATA?") == [5, 1, 0, 0, 0, 0, 1, 4.67e9, 20e6, 41]
    visa.query("INIT1:CONT OFF;:INIT1;*OPC?")
    parts = np.array(visa.query_ascii_values("CALC1:TRAC1:DATA:SDAT?"))
    expected = true_reflection(visa.visalib.panels["vna"], axis[11:])  # type: ignore[attr-defined]
    np.testing.assert_allclose(parts[::2] + 1j * parts[1::2], expected, atol=0.1 * np.max(np.abs(expected)))
    assert visa.query("SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(
    "table",
    ["6,0,0,0,0,0,1,1E9,2E9,11", "5,0,0,0,0,0,2,1E9,2E9,11", "5,0,2,0,0,0,1,1E9,2E9,11,100", "5,0,0,0,0,0,0", "5"],
)
def test_a_table_that_is_none_is_rejected(visa: MessageBasedResource, table: str) -> None:
    before = visa.query("SENS1:SEGM:DATA?")
    visa.write(f"SENS1:SEGM:DATA {table}")
    assert visa.query("SYST:ERR?").startswith("-220,")
    assert visa.query("SENS1:SEGM:DATA?") == before
