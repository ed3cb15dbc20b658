"""Limits that the bias source cannot hold, and addresses that cannot be right, are refused before it is opened."""

from pathlib import Path

import pytest

from drivers.wiring import Wiring
from labnis.errors import ConfigurationError, RequestError
from labnis.station import Limits, check_station, load_station
from labnis.station.bias.ramped_bias import RampedBias
from tests.station.fakes import FakeSource
from tests.station.test_channel_sources import SOURCES, STATION

GS200 = {
    "type": "drivers.yokogawa_gs200.YokogawaGS200",
    "address": "GPIB0::1::INSTR",
    "init": "",
    "channel": "",
    "gate": "",
}


def checked(folder: Path, kind: dict[str, str], *changes: tuple[str, str]) -> None:
    text = STATION.format(**kind)
    if not kind["gate"]:
        text = "\n".join(line for line in text.splitlines() if "gate" not in line)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / "station.yaml"
    path.write_text(text, encoding="utf-8")
    check_station(load_station(path))


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        (
            SOURCES["sim928"],
            [("divider: 1000.0", "divider: 1.0")],
            r"labnis\.limits\.ramp_rate: .*allows steps of 9\.95e-05 V, and levels of source have steps of 0\.001 V.* "
            r"one of 11 or more is needed",
        ),
        (
            SOURCES["sim928"],
            [("divider: 1000.0", "divider: 10.0"), ("maximum_step: 0.1e-3", "maximum_step: 0.05e-3")],
            r"labnis\.limits\.maximum_step: .*allows steps of 5e-05 V.* 0\.0001 V behind the divider of 10; one of",
        ),
        (
            SOURCES["sim928"],
            [("maximum_bias: 2.0e-3", "maximum_bias: 25.0e-3")],
            r"labnis\.limits\.maximum_bias: 0\.025 V at a divider of 1000 are 25 V of source, which has 20 V at "
            r"most; 0\.02 V are possible",
        ),
        (SOURCES["qdac"], [("maximum_bias: 2.0e-3", "maximum_bias: 11.0e-3")], "are 11 V of source, which has 10 V at"),
        (GS200, [("maximum_bias: 2.0e-3", "maximum_bias: 33.0e-3")], "are 33 V of source, which has 32 V at most"),
        (
            GS200,
            [("GPIB0::1::INSTR", "GPIB0::1:INSTR")],
            r"instruments\.source\.address: .*GPIB0::1:INSTR is no VISA .* single colon",
        ),
        (
            GS200,
            [("GPIB0::1::INSTR", "tcpip::192.168.10.30::INSTR")],
            r"instruments\.dmm\.address: .*192\.168\.10\.30::inst0::INSTR is that of source, too",
        ),
    ],
)
def test_what_cannot_be_right_is_told_with_what_is_possible(
    kind: dict[str, str], changes: list[tuple[str, str]], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        checked(tmp_path, kind, *changes)


@pytest.mark.parametrize("kind", [SOURCES["sim928"], SOURCES["qdac"], GS200])
def test_limits_that_a_source_holds_are_accepted(kind: dict[str, str], tmp_path: Path) -> None:
    checked(tmp_path, kind)


def test_no_level_is_rounded_beyond_the_limit() -> None:
    source = FakeSource()
    source.level_step = 1e-3  # type: ignore[attr-defined]  # optional
    limits = Limits(maximum_bias=1.6e-3, maximum_step=1e-3, ramp_rate=0.1, compliance=5e-6)
    bias = RampedBias(source, Wiring(), limits, source.clock, name="sim900 (GPIB0::2), port 3")
    with pytest.raises(RequestError, match=r"it would be 0\.002 V, and limits\.maximum_bias is .* Ask for 0\.001 V at"):
        bias.prepare(1.6e-3, 1e-6, 0.02)
    assert not source.writes
    bias.prepare(1.4e-3, 1e-6, 0.02)
