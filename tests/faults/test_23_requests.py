"""23: NaN, infinity, negative numbers, 1e9 points, one ulp beyond a limit: 2, and not one command is sent."""

import math

import pytest

from tests.faults.measuring import Lab
from tests.run.bench import Commands

BIAS_LIMIT, COMPLIANCE = 6.0e-3, 5.0e-6


@pytest.mark.parametrize(
    "setting",
    [
        "maximum_bias=nan",
        "maximum_bias=inf",
        "maximum_bias=-inf",
        "maximum_bias=-1e-3",
        "maximum_bias=0",
        f"maximum_bias={math.nextafter(BIAS_LIMIT, 1)!r}",
        "maximum_bias=6",
        "maximum_bias=1e400",
        f"maximum_current={math.nextafter(COMPLIANCE, 1)!r}",
        "maximum_current=nan",
        "points=1000000000",
        "points=-5",
        "points=1e9",
        "points=nan",
        "settling_time=-1",
        "settling_time=inf",
        "integration_time=nan",
        "excitation=inf",
        "time_constant=-inf",
    ],
)
def test_nothing_is_sent(
    lab: Lab, setting: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    labnis = Commands(monkeypatch, capsys)
    answer = labnis(f"run IVSweep --yes --set '{setting}' --station {lab.station} --data {lab.data}")
    assert answer.code == 2, answer.err
    assert setting.partition("=")[0] in answer.err or "bias" in answer.err or "compliance" in answer.err
    assert lab.log == []
    assert not list(lab.data.glob("*/*/*.h5"))


@pytest.mark.parametrize("limit", ["maximum_bias: .nan", "maximum_bias: .inf", "maximum_bias: -6.0e-3"])
def test_limits_that_are_none(
    lab: Lab, limit: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = lab.station.read_text(encoding="utf-8").replace("maximum_bias: 6.0e-3", limit)
    lab.station.write_text(text, encoding="utf-8")
    answer = Commands(monkeypatch, capsys)(f"run IVSweep --yes --station {lab.station} --data {lab.data}")
    assert answer.code == 2
    assert "maximum_bias" in answer.err
    assert "line" in answer.err
    assert lab.log == []
