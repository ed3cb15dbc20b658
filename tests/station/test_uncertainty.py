"""The section `uncertainty` of a station file, and the sources of one run that follow from it."""

import math
from datetime import date
from pathlib import Path

import pytest

from drivers.wiring import Amplifier, Wiring
from labnis.accuracy import Source, load_table
from labnis.errors import ConfigurationError
from labnis.station import Uncertainty, load_station, stated_sources
from tests.station.conftest import Write

ROOT = Path(__file__).resolve().parents[2]
ROLES = {"bias": "keithley", "lockin": "sr830", "analyzer": "n9030b", "vna": "n5222b", "fridge": "lakeshore"}
TODAY = date(2026, 11, 1)
SERIALS = {"keithley": "4123456", "n9030b": "MY55"}


def with_uncertainty(write: Write, text: str) -> Path:
    return write(("  twin:", f"  uncertainty: {text}\n  twin:"))


def shipped(
    roles: dict[str, str] = ROLES, run: str = "run-1", *, reads_current: bool = True, serials: dict[str, str] = SERIALS
) -> tuple[dict[str, Source], tuple[str, ...]]:
    config = load_station(ROOT / "station.yaml")
    assert config.uncertainty is not None
    found, missing = stated_sources(
        config.uncertainty,
        roles,
        config.tables,
        serials,
        reads_current=reads_current,
        cooldown="CD12",
        run=run,
        today=TODAY,
    )
    return {one.uid: one for one in found}, missing


def test_sources_of_the_shipped_station_have_names_that_last() -> None:
    found, missing = shipped()
    assert not missing
    gain = found["keithley_2450/4123456/voltage_measure.gain[20mV]@2026-03-14"]
    assert (gain.acts_on, gain.largest, gain.standard) == ("voltage.gain", 0.02, pytest.approx(1e-3 / math.sqrt(3)))
    assert "keithley_2450/4123456/current_measure.offset[1uA]@2026-03-14" in found
    assert found["wiring.series_resistance@CD12"].standard == pytest.approx(20 / math.sqrt(3))
    amplitude = found["n9030b/MY55/amplitude"]
    assert (amplitude.standard, amplitude.distribution) == (pytest.approx(0.12), "normal")
    assert found["frequency_reference(n5222b, n9030b)"].standard == pytest.approx(1e-6 / math.sqrt(3))


def test_a_drift_is_another_error_in_each_run_and_the_rest_stays() -> None:
    first, second = (shipped(run=run)[0] for run in ("run-1", "run-2"))
    assert {uid.rpartition("/")[2] for uid in first.keys() - second.keys()} == {
        "gain_drift@run-1",
        "magnitude_drift@run-1",
        "phase_drift@run-1",
    }


def test_roles_that_a_run_does_not_use_are_no_sources() -> None:
    found, missing = shipped({"bias": "keithley"})
    assert not missing
    assert {one.acts_on for one in found.values()} == {
        "voltage.gain", "voltage.offset", "current.gain", "current.offset", "series_resistance",
    }  # fmt: skip


def test_what_is_not_stated_is_listed() -> None:
    _, missing = shipped(ROLES | {"vna": "other", "current": "dmm", "voltage": "dmm"}, reads_current=False)
    assert missing == (
        "the accuracy of dmm, which reads the voltage",
        "the accuracy of dmm, which reads the current",
        "the magnitude drift of other",
        "the phase drift of other",
        "the frequency reference of other",
    )
    everything, all_missing = stated_sources(
        Uncertainty(), ROLES, {}, {}, reads_current=True, cooldown="CD12", run="run-1", today=TODAY
    )
    assert not everything
    assert "the series resistance" in all_missing
    assert len(all_missing) == 11


def test_a_meter_behind_an_amplifier_errs_in_terms_of_what_it_measures() -> None:
    table = load_table(ROOT / "drivers/accuracy/keysight_34461a.yaml")
    stated = Uncertainty.model_validate(
        {"instruments": {"dmm": {"accuracy": "keysight_34461a"}}, "wiring": {"amplifiers": {"femto": {"limit": 0.01}}}}
    )
    wiring = Wiring(amplifiers={"femto": Amplifier(gain=-1e7)}, role_amplifiers={"current": "femto"})
    roles, tables = {"bias": "yoko", "current": "dmm", "voltage": "dmm"}, {"dmm": table}
    found, missing = stated_sources(
        stated, roles, tables, {}, reads_current=False, cooldown="CD12", run="run-1", wiring=wiring, today=TODAY
    )
    by_uid = {(one.acts_on, one.uid): one for one in found}
    offset = by_uid["ammeter.offset", "keysight_34461a//voltage_measure.offset[1V]"]
    assert (offset.unit, offset.standard) == ("A", pytest.approx(7e-6 / 2 / 1e7))
    assert (offset.above, offset.largest) == pytest.approx((1e-8, 1e-7))
    assert by_uid["ammeter.gain", "wiring.femto@CD12"].standard == pytest.approx(0.01 / math.sqrt(3))
    direct = by_uid["voltmeter.offset", "keysight_34461a//voltage_measure.offset[1V]"]
    assert (direct.unit, direct.standard, direct.largest) == ("V", pytest.approx(7e-6 / 2), 1.0)
    assert missing == ("the series resistance",)
    unstated = stated_sources(
        Uncertainty(), roles, {}, {}, reads_current=False, cooldown="CD12", run="run-1", wiring=wiring, today=TODAY
    )[1]
    assert "the gain of the amplifier femto" in unstated


def test_an_instrument_outside_the_temperatures_of_its_sheet_errs_by_more() -> None:
    table = {"keithley": load_table(ROOT / "drivers/accuracy/keithley_2450.yaml")}

    def gain(temperature: tuple[float, float] | None) -> float:
        own = {"accuracy": "keithley_2450", "temperature": temperature}
        stated = Uncertainty.model_validate({"instruments": {"keithley": own}})
        found, missing = stated_sources(
            stated, {"bias": "keithley"}, table, {}, reads_current=True, cooldown="", run="", today=TODAY
        )
        assert missing == ("the series resistance",)
        (one,) = [source for source in found if source.uid == "keithley_2450//voltage_measure.gain[20mV]"]
        return one.standard

    # 0.15 × specification per degree outside 23 ± 5 °C
    assert gain((18, 28)) == gain((20, 25)) == gain(None) == pytest.approx(1e-3 / math.sqrt(3))
    assert gain((18, 30)) == gain((16, 25)) == pytest.approx(1.3e-3 / math.sqrt(3))


def test_what_the_sheets_do_not_say_is_listed() -> None:
    table = {"meter": load_table(ROOT / "drivers/accuracy/keysight_34461a.yaml")}
    own = {"accuracy": "keysight_34461a", "temperature": [18, 35], "due": "2026-10-31"}
    stated = Uncertainty.model_validate(
        {"instruments": {"meter": own}, "wiring": {"series_resistance": {"limit": 20.0}}}
    )
    roles = {"bias": "yoko", "voltage": "meter"}
    missing = stated_sources(stated, roles, table, {}, reads_current=True, cooldown="", run="", today=TODAY)[1]
    assert missing == (
        "the accuracy of yoko, which reads the current",
        "what has happened to meter since its next adjustment was due on 2026-10-31",
        "the effect of the temperature on meter, of which its accuracy table says nothing",
    )


def test_a_relative_uncertainty_of_the_line_is_a_part_of_its_resistance() -> None:
    stated = Uncertainty.model_validate({"wiring": {"series_resistance": {"limit": 0.01, "relative": True}}})
    found, _ = stated_sources(
        stated,
        ROLES,
        {},
        {},
        reads_current=True,
        cooldown="",
        run="",
        today=TODAY,
        wiring=Wiring(series_resistance=2000.0),
    )
    assert [(one.unit, one.standard) for one in found] == [("ohm", pytest.approx(20 / math.sqrt(3)))]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("linearity: {", "gain: {limit: 0.1}, linearity: {", "analyzer; its keys are calibrated, due, amplitude"),
        ("amplitude: {expanded: 0.24,", "amplitude: {expanded: 24.0,", "found 24 dB; allowed are figures below 10 dB"),
        ("n5222b: {", "n5222b: {calibrated: 2026-03-14, ", "vna; its keys are due, magnitude_drift, phase_drift"),
        ("phase_drift: {limit: 1.2}", "phase_drift: {limit: 360.0}", "allowed are figures below 180 degrees per hour"),
        ("shared: [n5222b, n9030b]", "shared: [n5222b]", "found n5222b; the instruments that share it are"),
        ("    analyzer: n9030b\n", "", "which no role uses; its keys are none"),
    ],
)
def test_what_has_no_effect_in_the_shipped_station_is_refused(
    before: str, after: str, told: str, tmp_path: Path
) -> None:
    text = (ROOT / "station.yaml").read_text(encoding="utf-8")
    assert text.count(before) == 1
    path = tmp_path / "station.yaml"
    path.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"line \d+: labnis\.uncertainty\.") as refused:
        load_station(path)
    assert told in str(refused.value)


def test_the_table_beside_the_station_file_comes_first(write: Write) -> None:
    path = with_uncertainty(write, "{instruments: {source: {accuracy: keithley_2450, calibrated: 2026-03-14}}}")
    own = path.parent / "accuracy" / "keithley_2450.yaml"
    own.parent.mkdir()
    shipped_text = (ROOT / "drivers/accuracy/keithley_2450.yaml").read_text(encoding="utf-8")
    own.write_text(shipped_text.replace("of_reading: 0.001", "of_reading: 0.002"), encoding="utf-8")
    config = load_station(path)
    assert config.uncertainty is not None
    assert config.uncertainty.instruments["source"].calibrated == date(2026, 3, 14)
    assert config.tables["source"].quantities["voltage_measure"].ranges["20mV"].of_reading == 0.002


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{instruments: {sauce: {accuracy: keithley_2450}}}", ["instruments.sauce", "'sauce'", "source, scope"]),
        ("{instruments: {source: {accuracy: nonsense}}}", ["source.accuracy", "'nonsense'", "keithley_2450"]),
        ("{instruments: {source: {accuracy: ../../etc/passwd}}}", ["source.accuracy", "no accuracy table"]),
        ("{instruments: {source: {calibrated: yesterday}}}", ["source.calibrated", "yesterday"]),
        ("{instruments: {source: {temperature: [28, 18]}}}", ["source.temperature", "lowest first"]),
        ("{wiring: {series_resistance: {limit: 20.0, standard: 1.0}}}", ["series_resistance", "exactly one"]),
        ("{wiring: {series_resistance: {expanded: 20.0}}}", ["series_resistance", "belong together"]),
        ("{wiring: {series_resistance: 20.0}}", ["series_resistance"]),
        ("{wiring: {amplifiers: {nosuch: {limit: 0.01}}}}", ["amplifiers.nosuch", "no amplifier 'nosuch'"]),
        ("{frequency_reference: {shared: [nosuch], limit: 1e-6}}", ["shared", "no instrument 'nosuch'"]),
        ("{fridge: {limit: 0.01, relative: true}}", ["fridge", "relative: true"]),
        ("{fridge: {limit: -1.0}}", ["fridge.limit", "greater than 0"]),
        (
            "{instruments: {source: {calibrated: 2099-03-14}}}",
            ["source.calibrated", "2099-03-14, which is in the future"],
        ),
        (
            "{instruments: {source: {accuracy: keithley_2450, calibrated: 2026-03-14, due: 2026-03-01}}}",
            ["source.due", "found 2026-03-01", "later than the last one (calibrated: 2026-03-14)"],
        ),
        (
            "{instruments: {source: {accuracy: keithley_2450, temperature: [291, 300]}}}",
            ["source.temperature", "found [291.0, 300.0]; allowed are -50 to 100 degrees Celsius"],
        ),
        ("{instruments: {scope: {gain: {limit: 5}}}}", ["scope.gain", "found 5, 500 % of the value"]),
        ("{instruments: {scope: {gain: {limit: 0.1, relative: false}}}}", ["scope.gain", "found relative: false"]),
        (
            "{instruments: {source: {accuracy: keithley_2450, gain: {limit: 0.01}}}}",
            ["source.gain", "used as bias; its keys are accuracy, calibrated, due, temperature"],
        ),
        (
            "{instruments: {scope: {accuracy: keithley_2450}}}",
            ["scope.accuracy", "used as lockin; its keys are calibrated, due, gain"],
        ),
        ("{instruments: {scope: {calibrated: 2026-03-14}}}", ["scope.calibrated", "no effect without gain of scope"]),
        ("{instruments: {source: {temperature: [20, 30]}}}", ["source.temperature", "no effect without accuracy"]),
        ("{wiring: {series_resistance: {limit: 1.0e+12}}}", ["series_resistance", "more than", "is 2000 ohm"]),
        ("{wiring: {series_resistance: {limit: 1.5, relative: true}}}", ["series_resistance", "150 % of the value"]),
        ("{wiring: {divider: {standard: 2.0}}}", ["wiring.divider", "200 % of the value"]),
        ("{wiring: {amplifiers: {preamp: {limit: 0.01}}}}", ["amplifiers.preamp", "gain of that", "none"]),
        ("{drift: {voltage_zero: {limit: 1.0}}}", ["voltage_zero", "more than limits.maximum_bias (0.006 V)"]),
        ("{drift: {current_zero: {limit: 1.0}}}", ["current_zero", "more than limits.compliance (5e-06 A)"]),
        ("{frequency_reference: {limit: 1e-6, relative: false}}", ["frequency_reference", "relative: false"]),
        ("{frequency_reference: {shared: [scope], limit: 1e-6}}", ["shared", "roles vna and analyzer", "none here"]),
        ("{fridge: {standard: 2.0}}", ["fridge", "found 2 K; allowed are figures below 1 K"]),
        ("{fridge: {standard: 2.0e-3}}", ["fridge", "name one as the role fridge"]),
        ("{fridges: {limit: 1.0}}", ["uncertainty.fridges", "unknown key"]),
    ],
)
def test_a_section_with_a_mistake_is_named_with_its_key(text: str, told: list[str], write: Write) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_station(with_uncertainty(write, text))
    for word in told:
        assert word in str(refused.value)
    assert "line 22" in str(refused.value)
