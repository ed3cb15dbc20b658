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
