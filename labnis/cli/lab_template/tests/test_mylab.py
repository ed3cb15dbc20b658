"""Tests of this lab's own instruments, measurements and fits, without any instrument."""

from pathlib import Path

import labnis
import pytest
from labnis.station import load_station
from qcodes.instrument import Instrument

STATION = Path(__file__).resolve().parent.parent / "station.yaml"
load_station(STATION)  # from here on the lab's packages can be imported

from mylab.instruments import GateSource
from mylab.maps import GateMap


def test_the_gate_source_speaks_its_instruments_language():
    source = GateSource("gate", "GPIB::5::INSTR", pyvisa_sim_file=str(Path(__file__).with_name("gate_source.yaml")))
    source.voltage(0.25)
    assert source.voltage() == 0.25
    Instrument.close_all()


def test_a_map_is_measured_and_fitted_on_the_simulated_fridge(tmp_path):
    with labnis.open_session(STATION, dry_run=True, data=tmp_path) as session:
        run = session.run(GateMap(gates="-1:1:3"))
    assert run.data["current"].dims == ("gate", "bias")
    assert run.results["line_resistance"].value == pytest.approx(2 * 12e3 + 2e3, rel=0.06)
