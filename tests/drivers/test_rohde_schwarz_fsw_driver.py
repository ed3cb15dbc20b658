"""What the FSW has beyond the FSV: more points, a protected input, a register for the sweep time."""

import numpy as np
import pytest

from drivers.errors import OverloadError
from drivers.rohde_schwarz_fsw import RohdeSchwarzFSW
from sim_instruments import Twin
from sim_instruments.panels.rohde_schwarz_fsw import RohdeSchwarzFSWPanel
from sim_instruments.visa import LabnisVisaLibrary
from tests.acquiring import acquired
from tests.analyzer_twin import SWEEP, analyzer_twin  # noqa: F401  # a fixture


@pytest.fixture
def fsw(twin: Twin) -> RohdeSchwarzFSW:
    return RohdeSchwarzFSW("fsw", twin.addresses["fsw"], visalib=twin.visalib)


@pytest.fixture
def panel(fsw: RohdeSchwarzFSW) -> RohdeSchwarzFSWPanel:
    library = fsw.visa_handle.visalib
    assert isinstance(library, LabnisVisaLibrary)
    found = library.panels["fsw"]
    assert isinstance(found, RohdeSchwarzFSWPanel)
    return found


def test_it_has_more_points(fsw: RohdeSchwarzFSW) -> None:
    fsw.prepare(**SWEEP | {"points": 50_001, "averages": 1})
    assert acquired(fsw).shape == (50_001,)


def test_a_sweep_too_fast_is_a_warning(fsw: RohdeSchwarzFSW, caplog: pytest.LogCaptureFixture) -> None:
    fsw.prepare(**SWEEP | {"resolution_bandwidth": 10e3, "averages": 1})
    with caplog.at_level("WARNING", logger=fsw.log.logger.name):
        acquired(fsw)
    assert "sweep time too low for its filter" in caplog.text


def test_an_input_that_was_disconnected_stays_so_until_somebody_connects_it(
    fsw: RohdeSchwarzFSW, panel: RohdeSchwarzFSWPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsw.prepare(**SWEEP | {"averages": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panel.world, "power_spectral_density", lambda axis, *_: np.full(axis.shape, 1e-7))
        with pytest.raises(OverloadError, match=r"its input disconnected to protect it.*:INP:ATT:PROT:RES"):
            acquired(fsw)
    fsw.prepare(**SWEEP | {"averages": 1})
    with pytest.raises(OverloadError, match="disconnected"):
        acquired(fsw)
    panel.execute(":INP:ATT:PROT:RES")
    fsw.prepare(**SWEEP | {"averages": 1})
    assert np.all(acquired(fsw) > 0)
