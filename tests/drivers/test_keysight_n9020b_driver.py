"""The MXA's driver, and its panel under unmodified drivers of others: the same commands as the PXA's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qcodes.instrument.sims
from qcodes.instrument import Instrument
from qcodes.instrument_drivers.Keysight import KeysightN9030B as QCoDeSKeysightN9030B

from drivers.errors import InstrumentError
from drivers.keysight_n9020b import KeysightN9020B
from drivers.roles import SpectrumAnalyzer
from labnis.station.role_check import missing_members
from sim_instruments import SHIPPED_TRUTH, SimulatedInstrument, SimulatedRole, Twin, open_twin
from tests.acquiring import acquired

MXA = {"mxa": SimulatedInstrument("mxa", ("KeysightN9020B",), (SimulatedRole("analyzer", "analyzer"),))}
SWEEP: dict[str, Any] = {
    "center": 4.67e9,
    "span": 100e6,
    "points": 1001,
    "resolution_bandwidth": 1e6,
    "sweep_time": 0.5,
    "averages": 20,
}
SIMULATION = Path(qcodes.instrument.sims.__file__).with_name("Keysight_N9030B.yaml")


@pytest.fixture
def twin() -> Iterator[Twin]:
    with open_twin(SHIPPED_TRUTH, seed=0, wiring={}, instruments=MXA) as found:
        yield found
        Instrument.close_all()


def test_density_is_the_worlds(twin: Twin) -> None:
    mxa = KeysightN9020B("mxa", twin.addresses["mxa"], visalib=twin.visalib)
    assert missing_members(mxa, SpectrumAnalyzer) == []
    assert mxa.get_idn()["model"] == "N9020B"
    world = mxa.visa_handle.visalib.world  # type: ignore[attr-defined]  # the library of the twin
    mxa.prepare(**SWEEP)
    relative = acquired(mxa) / world.power_spectral_density(mxa.frequencies(), 1e14) - 1
    assert abs(np.mean(relative)) < 4 / np.sqrt(mxa.noise_bandwidth * 10.0)


def test_the_driver_of_qcodes_for_the_pxa_reads_it(twin: Twin) -> None:
    mxa = QCoDeSKeysightN9030B("mxa", twin.addresses["mxa"], visalib=twin.visalib)
    mxa.sa.setup_swept_sa_sweep(4.62e9, 4.72e9, 101)
    assert mxa.sa.trace().shape == (101,)
    mxa.snapshot(update=True)
    assert mxa.ask(":SYST:ERR?") == '+0,"No error"'


@pytest.fixture
def simulated() -> Iterator[KeysightN9020B]:
    yield KeysightN9020B("simulated", "GPIB::1::INSTR", visalib=f"{SIMULATION}@sim", timeout=0.2)
    Instrument.close_all()


def test_the_simulation_of_qcodes_opens_and_lacks_what_a_measurement_needs(simulated: KeysightN9020B) -> None:
    # It does not know :SYST:ERR?, without which nothing is measured.
    assert simulated.get_idn()["model"] == "N9030B"
    assert simulated.sa.center() == pytest.approx(1.805e9)
    with pytest.raises(InstrumentError, match="simulated"):
        simulated.prepare(**SWEEP)
    with pytest.raises(RuntimeError, match="prepare"):
        simulated.fetch()


def test_the_driver_of_contrib_for_the_cxa_reads_channel_power(twin: Twin) -> None:
    module = pytest.importorskip("qcodes_contrib_drivers.drivers.Agilent.Agilent_N9000A")
    cxa = module.Agilent_N9000A("cxa", twin.addresses["mxa"], visalib=twin.visalib, timeout=60)
    cxa.rf_center_frequency(2.5)
    assert cxa.rf_center_frequency() == pytest.approx(2.5e9)  # written in GHz, read in Hz
    cxa.resolution_bandwidth(0.1)
    assert -200 < cxa.power_spectral_density() < -50
    cxa.snapshot(update=True)
    assert cxa.ask(":SYST:ERR?") == '+0,"No error"'
