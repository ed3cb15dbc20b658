"""Data sheets and station files as named sources of uncertainty."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from labnis.accuracy import AccuracyTableError, RangeAccuracy, Source, StatedUncertainty, load_table
from labnis.station.uncertainty_check import accuracy_table

UNSOURCED = sorted((Path(__file__).parents[2] / "drivers" / "accuracy" / "unsourced").glob("*.yaml"))
TABLES = sorted((Path(__file__).parents[2] / "drivers" / "accuracy").glob("*.yaml"))
STATION_DOCS = Path(__file__).parents[2] / "docs" / "station.md"
KEITHLEY = next(path for path in TABLES if path.stem == "keithley_2450")


@pytest.mark.parametrize(
    ("stated", "standard", "distribution"),
    [
        ({"limit": 20.0}, 20 / math.sqrt(3), "rectangular"),
        ({"standard": 2e-3}, 2e-3, "normal"),
        ({"expanded": 0.24, "k": 2.0}, 0.12, "normal"),
    ],
)
def test_standard_uncertainty_is_that_of_the_gum(stated: dict[str, float], standard: float, distribution: str) -> None:
    found = StatedUncertainty(**stated)  # type: ignore[arg-type]
    assert found.standard_uncertainty == pytest.approx(standard)
    assert found.distribution == distribution


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({}, "found none of them; give exactly one"),
        ({"limit": 1.0, "standard": 1.0}, "found limit and standard"),
        ({"expanded": 1.0}, "belong together"),
        ({"limit": 1.0, "k": 2.0}, "belong together"),
        ({"limit": -1.0}, "greater than 0"),
        ({"expanded": 1.0, "k": 0.5}, "greater than or equal to 1"),
        ({"limit": math.nan}, "finite"),
        ({"limits": 1.0}, "not permitted"),
    ],
)
def test_what_states_no_uncertainty_is_refused(stated: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        StatedUncertainty(**stated)


@given(st.floats(-1e3, 1e3), st.floats(1e-9, 1e3), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_half_width_is_the_sum_of_its_parts(
    reading: float, largest: float, gain: float, of_range: float, offset: float
) -> None:
    assume(gain + of_range + offset > 0)
    part = RangeAccuracy(largest=largest, of_reading=gain, of_range=of_range, offset=offset)
    assert part.half_width(reading) == pytest.approx(gain * abs(reading) + of_range * largest + offset)
    assert part.half_width(0.0) == part.constant <= part.half_width(reading) == part.half_width(-reading)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_table_names_its_document_and_is_no_better_than_a_primary_standard(path: Path) -> None:
    table = load_table(path)
    assert any(character.isdigit() for character in table.source), "with revision or date"
    for quantity in table.quantities.values():
        for name, part in quantity.ranges.items():
            assert 1e-6 < part.half_width(part.largest) / part.largest < 0.1, (path.stem, name)


@pytest.mark.parametrize("path", UNSOURCED, ids=lambda path: path.stem)
def test_figures_that_nobody_has_read_are_marked_wherever_they_count(path: Path) -> None:
    table = accuracy_table(f"unsourced/{path.stem}", path.parent / "nothing")
    for name in table.quantities:
        for source in table.sources(name, "voltage", "x/1"):
            assert "(unsourced)" in source.label and source.document.startswith("unsourced")
    with pytest.raises(AccuracyTableError, match=r"no accuracy table 'yokogawa_gs200'.*unsourced/yokogawa_gs200"):
        accuracy_table("yokogawa_gs200", path.parent / "nothing")
    assert f"`{path.stem}`" in STATION_DOCS.read_text(encoding="utf-8").split("On request ")[1].split("budget")[0]


def test_gain_and_offset_of_each_range_are_sources_of_their_own() -> None:
    table = load_table(KEITHLEY)
    found = table.sources("voltage_measure", "voltage", "keithley_2450/4123456@2026-03-14")
    gain, offset = found[:2]
    assert gain.uid == "keithley_2450/4123456/voltage_measure.gain[20mV]@2026-03-14"
    assert gain.standard == pytest.approx(1e-3 / math.sqrt(3))
    assert (gain.unit, gain.distribution, gain.document) == ("1", "rectangular", table.source)
    assert offset.uid == "keithley_2450/4123456/voltage_measure.offset[20mV]@2026-03-14"
    assert (offset.standard, offset.unit) == (pytest.approx(150e-6 / math.sqrt(3)), "V")
    assert [(one.acts_on, one.above, one.largest) for one in found[:3]] == [
        ("voltage.gain", 0.0, 0.02),
        ("voltage.offset", 0.0, 0.02),
        ("voltage.gain", 0.02, 0.2),
    ]
    assert len({one.uid for one in found}) == len(found) == 8


def test_a_source_is_kept_in_its_record() -> None:
    for one in load_table(KEITHLEY).sources("current_measure", "current", "keithley_2450/1"):
        assert Source.from_record(json.loads(json.dumps(one.as_record()))) == one
    everywhere = Source("wiring", "wiring", "ohm", 1.0, "normal", "a test", "series_resistance")
    assert Source.from_record(json.loads(json.dumps(everywhere.as_record()))) == everywhere


def test_an_expanded_uncertainty_is_divided_by_its_k() -> None:
    table = load_table(next(path for path in TABLES if path.stem == "keysight_34461a"))
    found = {one.uid: one for one in table.sources("voltage_measure", "voltage", "keysight_34461a/1")}
    gain = found["keysight_34461a/1/voltage_measure.gain[1V]"]
    assert (gain.standard, gain.distribution) == (pytest.approx(2e-5), "normal")
    assert found["keysight_34461a/1/voltage_measure.offset[1V]"].standard == pytest.approx(3.5e-6)


def test_what_the_table_does_not_state_is_said() -> None:
    with pytest.raises(AccuracyTableError, match="has no 'resistance'; it has voltage_measure, voltage_source"):
        load_table(KEITHLEY).sources("resistance", "voltage", "keithley_2450/1")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("source: SPEC", "sourced: SPEC", "source: Field required"),
        ("schema: labnis.accuracy/1", "schema: labnis.accuracy/2", "schema: Input should be 'labnis.accuracy/1'"),
        ("distribution: rectangular", "distribution: {normal: 0.5}", "distribution"),
        ("distribution: rectangular", "distribution: {}", "distribution"),
        ("of_reading: 0.001", "of_reading: -0.001", "of_reading"),
        ("of_reading: 0.001", "of_value: 0.001", "of_value"),
        ("of_reading: 0.001, offset: 1.5e-4", "offset: 0.0", "all figures are 0"),
        ("unit: V", "unit: mV", "the unit 'mV'; the figures are in V"),
        ("largest: 0.02,", "largest: 0.2,", "20mV and 200mV have the same largest reading, 0.2"),
        ("from: 18", "from: 38", "found from 38 to 28; give the lowest temperature first"),
        ("quantities:", "quantities: [", "cannot be read as an accuracy table"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_file_and_key(before: str, after: str, told: str, tmp_path: Path) -> None:
    text = KEITHLEY.read_text(encoding="utf-8")
    assert before in text
    path = tmp_path / "lab.yaml"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(AccuracyTableError) as refused:
        load_table(path)
    assert str(path) in str(refused.value)
    assert told in str(refused.value)


def test_a_table_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccuracyTableError, match="cannot be read as an accuracy table"):
        load_table(tmp_path / "none.yaml")


def test_the_documentation_lists_every_shipped_table() -> None:
    sentence = (
        STATION_DOCS.read_text(encoding="utf-8").split("Those of labnis are ")[1].split(", in `drivers/accuracy/`")[0]
    )
    assert re.findall(r"`(\w+)`", sentence) == [path.stem for path in TABLES]
