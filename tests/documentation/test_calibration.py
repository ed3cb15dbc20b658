"""The program of docs/calibration.md for measured arrays runs as it is."""

import re
from pathlib import Path

import numpy as np
import pytest

from sim_instruments import SHIPPED_TRUTH, load_truth
from tests.fit.cooling import readings

pytestmark = pytest.mark.documentation

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "calibration.md").read_text(encoding="utf-8")


def test_curves_of_measured_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (program,) = [text for text in re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S) if "import_run" in text]
    measured = readings(load_truth(SHIPPED_TRUTH), 1, np.linspace(-1.2e-3, 1.2e-3, 201))
    known = {"voltage": measured.voltage, "current": measured.current}
    exec(compile(program, "calibration.md", "exec"), known)  # noqa: S102  # our own text, and it must run
    curves = known["curves"]
    inside = (measured.voltage > 0) & (measured.voltage < curves["device_voltage"].values.max())
    true = measured.temperature[inside]
    found = np.interp(measured.voltage[inside], curves["device_voltage"], curves["electron_temperature"])
    assert np.ptp(true) > 0.02
    assert np.abs(found - true).max() < 3e-3  # the zero of the voltage is not that of the device
    assert 0 < curves["cooling_power"].max() < 1e-12
