"""The R&S ZNB's front panel: the unmodified QCoDeS driver with its channels, CW sweeps, averages, formats."""

from collections.abc import Iterator

import numpy as np
import pytest
import pyvisa
from pyvisa.resources import MessageBasedResource
from qcodes.instrument_drivers.rohde_schwarz import RohdeSchwarzZNB8, RohdeSchwarzZNB20

from sim_instruments import Twin
from tests.vna_twin import panel_of, true_reflection, vna_twin

NO_ERROR = '0,"No error"'
AXIS = np.linspace(4.62e9, 4.72e9, 51)


@pytest.fixture(name="twin", params=["RohdeSchwarzZNB20"])
def znb_twin(request: pytest.FixtureRequest) -> Iterator[Twin]:
    with vna_twin(request.param) as twin:
        yield twin


@pytest.fixture
def visa(twin: Twin) -> MessageBasedResource:
    resource = pyvisa.ResourceManager(twin.visalib).open_resource(twin.addresses["vna"])
    assert isinstance(resource, MessageBasedResource)
    resource.read_termination = resource.write_termination = "\n"
    resource.timeout = 100_000
    return resource


def test_qcodes_driver_with_all_its_channels(twin: Twin) -> None:
    vna = RohdeSchwarzZNB20("vna", twin.addresses["vna"], visalib=twin.visalib)
    assert vna.get_idn()["model"] == "ZNB20-2Port"
    assert [channel.vna_parameter() for channel in vna.channels] == ["S11", "S12", "S21", "S22"]
    assert vna.rf_power() is False
    vna.rf_on()
    s11 = vna.channels[0]
    s11.start(4.62e9)
    s11.stop(4.72e9)
    s11.npts(51)
    s11.power(-10)
    s11.bandwidth(1000)
    s11.avg(4)
    magnitude, phase = s11.trace_mag_phase()
    expected = true_reflection(panel_of(vna), AXIS)
    np.testing.assert_allclose(magnitude * np.exp(1j * phase), expected, atol=0.1 * np.max(np.abs(expected)))
    np.testing.assert_allclose(s11.trace(), 20 * np.log10(np.abs(expected)), atol=1.5)
    assert s11.electrical_delay() == 0
    snapshot = vna.snapshot(update=True)
    assert snapshot["parameters"]["rf_power"]["value"] is True
    assert vna.ref_osc_PLL_locked() is True
    assert vna.ref_osc_external_freq() == 10e6
    assert vna.ask("SYST:ERR?").strip() == NO_ERROR
    assert vna.ask("SYST:ERR:ALL?").strip() == NO_ERROR


@pytest.mark.parametrize("twin", ["RohdeSchwarzZNB8"], indirect=True)
def test_qcodes_driver_at_a_fixed_frequency(twin: Twin) -> None:
    vna = RohdeSchwarzZNB8("vna", twin.addresses["vna"], init_s_params=False, visalib=twin.visalib)
    vna.add_channel("S11")
    vna.rf_on()
    channel = vna.channels[0]
    channel.setup_cw_sweep()
    channel.cw_frequency(4.67e9)
    channel.bandwidth(1000)
    channel.npts(101)
    real, imaginary = channel.trace_fixed_frequency()
    assert (len(real), len(imaginary)) == (101, 101)
    i, q = channel.point_fixed_frequency()
    expected = true_reflection(panel_of(vna), np.array([4.67e9]))[0]
    assert abs(i + 1j * q - expected) < 0.1 * abs(expected)
    vna.timeout(0.05)
    with pytest.raises(pyvisa.VisaIOError):
        channel.start()  # QCoDeS issue 3151: there is no frequency axis
    vna.timeout(5)
    assert vna.ask("SYST:ERR?").startswith("-200,")


def test_a_connection_with_its_defaults_resets_and_removes_channels(twin: Twin) -> None:
    vna = RohdeSchwarzZNB20("vna", twin.addresses["vna"], init_s_params=False, visalib=twin.visalib)
    assert panel_of(vna).channels == {}
    assert vna.ask("CONF:CHAN:CAT?").strip() == "''"


def test_blocks_and_their_byte_order(visa: MessageBasedResource) -> None:
    visa.write("INIT:CONT:ALL OFF;:SENS1:SWE:POIN 11;:INIT1:IMM;*WAI")
    ascii_values = visa.query_ascii_values("CALC1:DATA? SDAT")
    visa.write("FORM REAL,64")  # least significant byte first is the default
    swapped = visa.query_binary_values("CALC1:DATA? SDAT", datatype="d", is_big_endian=False)
    visa.write("FORM:BORD NORM")
    normal = visa.query_binary_values("CALC1:DATA? SDAT", datatype="d", is_big_endian=True)
    np.testing.assert_allclose(swapped, ascii_values, rtol=1e-10)
    np.testing.assert_array_equal(normal, swapped)
    assert visa.query("SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize("averages", [1, 16])
def test_noise_follows_the_averages(visa: MessageBasedResource, twin: Twin, averages: int) -> None:
    visa.write(
        f"INIT:CONT:ALL OFF;:SENS1:SWE:POIN 401;:SENS1:SWE:COUN {averages};:SENS1:AVER ON;:SENS1:AVER:COUN {averages};"
        ":INIT1:IMM;*WAI"
    )
    values = np.array(visa.query_ascii_values("CALC1:DATA? SDAT"))  # S21: not connected
    level = 10 * np.log10(np.mean(values**2) * 2)
    assert level == pytest.approx(-127 + 40 + 10 - 10 * np.log10(averages), abs=1)


def test_an_overload_sets_a_bit_until_it_is_read(visa: MessageBasedResource, twin: Twin) -> None:
    library = visa.visalib
    panel = library.panels["vna"]  # type: ignore[attr-defined]
    panel.overloaded = True
    visa.write("INIT:CONT:ALL OFF;:INIT1:IMM;*WAI")
    assert int(visa.query("STAT:QUES:INT:HARD?")) == 8
    assert int(visa.query("STAT:QUES:INT:HARD?")) == 0
    assert visa.query("SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("SENS1:FREQ:STOP 21E9", -222),
        ("SOUR1:POW1 26", -222),
        ("SENS9:SWE:POIN 11", -114),
        ("CALC1:PAR:SDEF 'a','S33'", -224),
        ("CALC1:PAR:SEL 'none'", -224),
        ("INIT1:IMM", -213),  # while it sweeps continuously
        ("NONSENSE", -113),
    ],
)
def test_rejected_commands(visa: MessageBasedResource, message: str, code: int) -> None:
    visa.write(message)
    assert visa.query("SYST:ERR?").startswith(f"{code},")
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_bandwidths_between_two_are_rounded_up(visa: MessageBasedResource) -> None:
    assert visa.query("SENS1:BAND 1100;:SENS1:BAND?") == "1500"


def test_a_table_of_segments_is_swept_in_its_order(visa: MessageBasedResource) -> None:
    """The commands of R&S's example for the ZNB."""
    visa.write("INIT:CONT OFF;:SENS1:SWE:TIME:AUTO ON;:SENS1:SEGM:CLE;:CALC1:PAR:SDEF 'Trc1','S11'")
    for number, (start, stop, points) in enumerate(((4.62, 4.65, 11), (4.66, 4.68, 41), (4.69, 4.72, 11)), 1):
        header = f"SENS1:SEGM{number}"
        visa.write(f"{header}:ADD;:{header}:FREQ:STAR {start} GHZ;:{header}:FREQ:STOP {stop} GHZ")
        visa.write(f"{header}:SWE:POIN {points};:{header}:POW -10;:{header}:BWID 100")
    visa.write("SENS1:SWE:TYPE SEGM;:FORM ASC")
    assert visa.query("SENS1:SEGM:COUN?;:SENS1:SEGM2:FREQ:CENT?;SPAN?;:SENS1:SEGM2?") == "3;4670000000;20000000;1"
    ends = ((4.62e9, 4.65e9, 11), (4.66e9, 4.68e9, 41), (4.69e9, 4.72e9, 11))
    axis = np.concatenate([np.linspace(*each) for each in ends])
    np.testing.assert_allclose(visa.query_ascii_values("CALC1:DATA:STIM?"), axis)
    assert float(visa.query("SENS1:SEGM:SWE:TIME:SUM?")) == pytest.approx(63 / 100, rel=0.01)
    visa.query("INIT1;*OPC?")
    parts = np.array(visa.query_ascii_values("CALC1:DATA? SDAT"))
    panel = visa.visalib.panels["vna"]  # type: ignore[attr-defined]
    expected = true_reflection(panel, axis)
    np.testing.assert_allclose(parts[::2] + 1j * parts[1::2], expected, atol=0.1 * np.max(np.abs(expected)))
    assert visa.query("SYST:ERR?") == NO_ERROR


def test_the_ends_of_a_segment_follow_each_other(visa: MessageBasedResource) -> None:
    visa.write("SENS1:SEGM1:ADD;:SENS1:SEGM1:FREQ:STOP 2 GHZ;:SENS1:SEGM2:ADD")
    assert [float(visa.query(f"SENS1:SEGM2:FREQ:{end}?")) for end in ("STAR", "STOP")] == [2e9, 20e9]
    visa.write("SENS1:SEGM2:FREQ:STOP 1 GHZ")
    assert float(visa.query("SENS1:SEGM2:FREQ:STAR?")) == 1e9 - 1
    visa.write("SENS1:SEGM2:FREQ:STAR 5 GHZ")
    assert float(visa.query("SENS1:SEGM2:FREQ:STOP?")) == 5e9 + 1
    visa.write("SENS1:SEGM2:SWE:POIN 1")
    assert float(visa.query("SENS1:SEGM2:FREQ:STOP?")) == 5e9
    assert visa.query("SENS1:SEGM:BWID:CONT?;:SENS1:SEGM:POW:CONT?") == "0;0"
    visa.write("SENS1:SEGM2:BWID 110;:SENS1:SEGM1:POW -20")
    assert visa.query("SENS1:SEGM2:BWID?;:SENS1:SEGM:BWID:CONT?;:SENS1:SEGM:POW:CONT?") == "150;1;1"
    visa.write("SENS1:SEGM:BWID:CONT OFF;:SENS1:SEGM1:STAT OFF;:SENS1:SEGM1:DEL")
    assert visa.query("SENS1:SEGM:BWID:CONT?;:SENS1:SEGM:COUN?") == "0;1"
    assert visa.query("SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("SENS1:SWE:TYPE SEGM", -221),
        ("SENS1:SEGM1:ADD;:SENS1:SEGM1:SWE:POIN 1;:SENS1:SWE:TYPE SEGM", -221),
        ("SENS1:SEGM2:ADD", -114),
        ("SENS1:SEGM1:FREQ:STAR 1E9", -114),
        ("SENS1:SEGM1:ADD;:SENS1:SEGM1:FREQ:STOP 40 GHZ", -222),
        ("SENS1:SEGM1:ADD;:SENS1:SEGM1:POW 60", -222),
        ("SENS3:SEGM1:ADD", -114),
    ],
)
def test_segments_that_cannot_be(visa: MessageBasedResource, message: str, code: int) -> None:
    visa.write(message)
    assert visa.query("SYST:ERR?").startswith(f"{code},")
    assert visa.query("SENS1:SWE:TYPE?") == "LIN"


def test_a_segmented_sweep_without_segments_becomes_linear(visa: MessageBasedResource) -> None:
    visa.write("SENS1:SEGM1:ADD;:SENS1:SWE:TYPE SEGM")
    assert visa.query("SENS1:SWE:TYPE?") == "SEGM"
    visa.write("SENS1:SEGM:DEL:ALL")
    assert visa.query("SENS1:SWE:TYPE?;:SENS1:SEGM:COUN?") == "LIN;0"
