"""A night in which every network instrument loses its connection twice: all rows, each right, and each loss told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import pyvisa

import labnis
from labnis.experiment.events import Event, RowRecorded
from labnis.storage import open_run, read_events
from procedures import EmittedPowerVsBias
from sim_instruments.visa import LabnisVisaLibrary
from tests.run.bench import write_station

STATION = """\
instruments:
  qdac: {type: drivers.qdac2.QDac2, address: "TCPIP0::10.0.0.5::5025::SOCKET"}
  n9030b: {type: drivers.keysight_n9030b.KeysightN9030B, address: "TCPIP0::10.0.0.6::inst0::INSTR"}
  triton: {type: drivers.oxford_triton.TritonFridge, address: "TCPIP0::10.0.0.7::33576::SOCKET"}
labnis:
  roles:
    bias: {instrument: qdac, channel: ch05}
    analyzer: n9030b
    fridge: triton
  wiring: {series_resistance: 2000.0}
  limits: {maximum_bias: 6.0e-3, maximum_step: 0.5e-3, ramp_rate: 0.05, compliance: 5.0e-6}
  twin: {file: truth.yaml}
"""


class LosesConnections:
    """Breaks the connection of each instrument at two rows, as a gap of the network does."""

    needs_fits = False

    def __init__(self, library: LabnisVisaLibrary, at: Mapping[int, str]) -> None:
        self._library = library
        self._at = dict(at)

    def __call__(self, event: Event) -> None:
        if not isinstance(event, RowRecorded):
            return
        for row in [row for row in self._at if row <= event.rows]:
            panel = self._library.panels[self._at.pop(row)]
            for handle, session in list(self._library.sessions.items()):
                if getattr(session, "device", None) is panel:
                    self._library.close(handle)


@pytest.mark.parametrize("points", [61, pytest.param(1001, marks=pytest.mark.long)])
def test_a_night_with_losses_is_complete(points: int, tmp_path: Path) -> None:
    station = write_station(tmp_path, STATION)
    library = cast(Any, pyvisa.ResourceManager(f"{tmp_path / 'truth.yaml'}@labnis")).visalib
    at = dict(zip(range(5, points, points // 7), ("qdac", "n9030b", "triton") * 2, strict=False))
    averages = round(8.1 * 3600 / points)  # of 1 s: 8 hours
    observers = [LosesConnections(library, at)]
    with labnis.open_session(station, dry_run=True, seed=1, data=tmp_path / "data", observers=observers) as session:
        run = session.run(EmittedPowerVsBias(points=points, averages=averages, frequencies=51))
    assert run.status == "done"
    data = open_run(run.path)
    assert data.sizes["bias"] == points
    assert int(data["quality"].sum()) == 0
    assert float(data["time"][-1]) > 8 * 3600
    assert np.abs(data["bias_reading"] - data["bias"]).max() < 1e-5
    # The spectra rise with the bias as the device's own do: none belongs to another row.
    rises = np.diff(data["band_power"].values[points // 4 :])
    assert np.all(np.abs(rises - np.median(rises)) < 12 * np.std(rises))
    lost = [event.message.partition(" ")[0] for event in read_events(run.path) if event.kind == "connection"]
    assert sorted(lost) == sorted(["qdac", "n9030b", "triton"] * 2)
