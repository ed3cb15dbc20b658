"""The log folder of the simulated fridge, read by the unmodified log reader of qcodes_contrib_drivers."""

import math
import time
from pathlib import Path

import pytest
from qcodes.instrument import Instrument

from sim_instruments.server.fridge_log import FridgeLog
from sim_instruments.visa import LabnisVisaLibrary

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")
contrib = pytest.importorskip("qcodes_contrib_drivers.drivers.BlueFors.BlueFors")


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Instrument:
    # Version 0.24 and later evaluates `pd.Series[str]`, which is a TypeError in each reading with pandas 2 and 3.
    monkeypatch.setattr(contrib.pd.Series, "__class_getitem__", classmethod(lambda kind, _: kind), raising=False)
    others = ("vacuum_can", "pumping_line", "compressor_outlet", "compressor_inlet", "mixture_tank", "venting_line")
    stages = {"50k_plate": 1, "4k_plate": 2, "still": 5, "mixing_chamber": 6}
    channels = dict(zip(others, range(1, 7), strict=True)) | stages
    found = contrib.BlueFors("bf", str(tmp_path), **{f"channel_{name}": number for name, number in channels.items()})
    assert isinstance(found, Instrument)
    return found


@pytest.mark.parametrize("old", [False, True])
def test_the_log_reader_of_contrib_reads_the_stages(
    twin: LabnisVisaLibrary, reader: Instrument, tmp_path: Path, old: bool
) -> None:
    log = FridgeLog(twin.world, tmp_path, epoch=time.time(), old=old)
    for _ in range(3):
        log.write()
    truth = twin.truth.fridge
    assert reader.temperature_mixing_chamber() == pytest.approx(truth.mixing_chamber_temperature, rel=0.02)
    assert reader.temperature_4k_plate() == pytest.approx(truth.four_kelvin_temperature, rel=0.02)
    reader.snapshot(update=True)


def test_what_the_log_reader_of_contrib_does_not_notice(
    twin: LabnisVisaLibrary, reader: Instrument, tmp_path: Path
) -> None:
    """An old line counts as a reading, and so does half a line: why `drivers.bluefors_log` exists."""
    log = FridgeLog(twin.world, tmp_path, epoch=time.time())
    log.append(6, "0.0212")
    assert reader.temperature_mixing_chamber() == 0.0212  # at any later time of the day
    log.append(6, "0.02", end="")
    assert reader.temperature_mixing_chamber() == 0.02
    assert math.isnan(reader.temperature_still())  # no file
