"""Station files for tests."""

from collections.abc import Callable
from pathlib import Path

import pytest

STATION = """\
instruments:
  source:
    type: drivers.fakes_for_tests.Source
    address: FAKE0::1
  scope:
    type: drivers.fakes_for_tests.LockIn
    address: FAKE0::2
    init:
      channel: 1
labnis:
  roles:
    bias: source
    lockin: scope
  wiring:
    series_resistance: 2000.0
    amplifiers: {preamp: {gain: 1.0e+7}}
  limits:
    maximum_bias: 6.0e-3
    maximum_step: 0.1e-3
    ramp_rate: 5.0e-3
    compliance: 5.0e-6
  twin:
    file: truth.yaml
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a station file: the one above with each (old, new) text replaced."""

    def _write(*changes: tuple[str, str]) -> Path:
        text = STATION
        for old, new in changes:
            assert text.count(old) == 1, f"{old!r} must occur once"
            text = text.replace(old, new)
        path = tmp_path / "station.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write
