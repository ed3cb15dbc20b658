"""Questions to the ledger: what was valid when, how it changed, what depends on what."""

import json
import platform
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from labnis.ledger import Ledger, open_ledger
from tests.ledger.test_ledger import entry
from tests.run.bench import Commands, changed, forked

DAYS = {name: datetime(2026, 11, day, 12, tzinfo=UTC) for name, day in (("first", 2), ("second", 9), ("jumped", 16))}
MEASURED = {"simulated": False, "analysis": "emitted_power"}


@pytest.fixture
def ledger(station: Path) -> Ledger:
    """A gain that was measured three times; the second time with rates of another run, the third time it had jumped."""
    text = station.read_text(encoding="utf-8")
    station.write_text(
        text.replace("labnis:\n", "labnis:\n  valid_for: {noise_temperature: 24.0}\n", 1), encoding="utf-8"
    )
    opened = open_ledger(station.parent / "data" / "ledger.sqlite", device="nis_device")
    opened.start_cooldown("CD12")
    rates = entry(
        quantity="damping_junction", unit="1/s", value=3e7, sigma=1e5, run_id="rates000", analysis="reflection",
        measured=DAYS["second"] - timedelta(hours=1), used=json.dumps([["current_voltage", "curve000"]]),
    )  # fmt: skip
    curve = entry(
        quantity="gap", unit="eV", value=215e-6, sigma=1e-7, run_id="curve000", analysis="current_voltage",
        measured=DAYS["second"] - timedelta(hours=2),
    )  # fmt: skip
    used = json.dumps([["reflection", "rates000"]])
    for one in (
        entry(value=60.00, sigma=0.05, run_id="gain0001", measured=DAYS["first"], **MEASURED),
        curve,
        rates,
        entry(value=60.05, sigma=0.05, run_id="gain0002", measured=DAYS["second"], used=used, **MEASURED),
        entry(quantity="noise_temperature", unit="K", value=4.1, sigma=0.1, run_id="gain0002", measured=DAYS["second"],
              used=used, **MEASURED),
        entry(value=58.05, sigma=0.05, run_id="gain0003", measured=DAYS["jumped"], **MEASURED),
        entry(value=1.0, run_id="dry00000", measured=DAYS["jumped"], simulated=True),
    ):  # fmt: skip
        opened.add_calibrations([one])
    return opened


def asked(labnis: Commands, words: str) -> Any:
    answer = labnis(f"ledger {words} --json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


@pytest.mark.usefixtures("ledger")
def test_which_gain_was_valid_on_a_day(labnis: Commands) -> None:
    found = {one["quantity"]: one for one in asked(labnis, "at 2026-11-09T20:00")}
    assert found["gain"]["value"] == 60.05
    assert found["gain"]["run_id"] == "gain0002"
    assert found["gain"]["used"] == [["reflection", "rates000"]]
    assert found["noise_temperature"]["until"].startswith("2026-11-10")
    assert {one["quantity"] for one in asked(labnis, "at 2026-11-12")} == {"gain", "gap", "damping_junction"}
    assert asked(labnis, "at 2026-11-01") == []
    shown = labnis("ledger at 2026-11-12").out
    assert "60.05" in shown or "60.050" in shown
    assert "superseded by" in shown


@pytest.mark.usefixtures("ledger")
def test_where_it_jumped(labnis: Commands) -> None:
    found = asked(labnis, "history gain")
    assert [one["value"] for one in found] == [60.0, 60.05, 58.05]
    assert [round(one["error"], 3) if one["error"] is not None else None for one in found] == [
        None, pytest.approx(0.354, abs=1e-3), pytest.approx(14.142, abs=1e-3),
    ]  # fmt: skip
    shown = labnis("ledger history gain").out
    assert "14 !" in shown
    assert "0.35" in shown


@pytest.mark.usefixtures("ledger")
def test_simulated_ones_are_another_matter(labnis: Commands) -> None:
    assert [one["run_id"] for one in asked(labnis, "history gain --simulated")] == ["dry00000"]
    answer = labnis("ledger history gap --simulated")
    assert answer.code == 2
    assert "no calibration of 'gap' of simulated runs" in answer.err


@pytest.mark.usefixtures("ledger")
def test_what_a_run_used_and_what_uses_it(labnis: Commands) -> None:
    assert [one["run_id"] for one in asked(labnis, "uses gain0002")] == ["rates000", "curve000"]
    assert asked(labnis, "uses gain0001") == []
    (gap,) = asked(labnis, "history gap")
    found = asked(labnis, f"used-by {gap['number']}")
    assert [one["quantity"] for one in found] == ["damping_junction", "gain", "noise_temperature"]
    assert "needed no other" in labnis("ledger uses gain0001").out
    answer = labnis("ledger uses gain")
    assert answer.code == 2
    assert "gain0001, gain0002, gain0003" in answer.err


def test_what_depends_on_a_revoked_one(labnis: Commands, ledger: Ledger) -> None:
    (rates,) = asked(labnis, "history damping_junction")
    answer = labnis(f"ledger revoke {rates['number']} --why 'wrong power'")
    assert answer.code == 0
    assert "revoked: damping_junction" in answer.out
    assert "gain0002" in answer.out
    assert "damping_junction" not in {one["quantity"] for one in asked(labnis, "at 2026-11-12")}
    (doubtful,) = (one for one in asked(labnis, "history gain") if one["run_id"] == "gain0002")
    told = "it rests on the reflection fit of run rates000, which was revoked: wrong power"
    assert doubtful["warnings"] == [told] and doubtful["until"] == doubtful["measured"]
    assert [one["run_id"] for one in asked(labnis, "at 2026-11-12") if one["quantity"] == "gain"] == ["gain0001"]
    assert "never: revoked: wrong power" in " ".join(labnis("ledger history damping_junction").out.split())
    again = labnis(f"ledger revoke {rates['number']} --why x")
    assert again.code != 0
    assert "was revoked on" in again.err
    assert ledger.latest("CD12", simulated=False, analysis="reflection") is None


@pytest.mark.usefixtures("ledger")
def test_a_note_is_shown_with_the_history(labnis: Commands) -> None:
    (first, *_) = asked(labnis, "history gain")
    assert labnis(f"ledger note {first['number']} 'warm amplifier'").code == 0
    assert f"note on {first['number']}" in labnis("ledger history gain").out
    assert "warm amplifier" in labnis("ledger history gain").out
    told = asked(labnis, f"note {first['number']} 'and a new cable'")
    assert [one["text"] for one in told["notes"]] == ["warm amplifier", "and a new cable"]
    assert [one["text"] for one in asked(labnis, "history gain")[0]["notes"]] == ["warm amplifier", "and a new cable"]


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("history gian", "no calibration of 'gian'"),
        ("at yesterday", "is no date or time"),
        ("note 999 x", "no calibration has the number 999"),
        ("revoke 1 --why ' '", "not revoked without a reason"),
        ("used-by 999", "no calibration has the number 999"),
    ],
)
def test_what_cannot_be_answered(labnis: Commands, words: str, told: str) -> None:
    answer = labnis(f"ledger {words}")
    assert answer.code != 0
    assert told in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.usefixtures("ledger")
def test_only_a_device_or_a_cooldown(labnis: Commands) -> None:
    assert len(asked(labnis, "history gain --device nis_device --cooldown CD12")) == 3
    for words in ("--device other", "--cooldown CD99"):
        answer = labnis(f"ledger history gain {words}")
        assert answer.code == 2
        assert "no such " in answer.err and ("nis_device" in answer.err or "CD12" in answer.err)


def test_a_dry_run_enters_time_conditions_and_what_it_used(labnis: Commands) -> None:
    answer = labnis("run IVSweep --dry-run --json --seed 1 --set points=61")
    assert answer.code in (0, 7), answer.err
    (gap,) = asked(labnis, "history gap --simulated")
    assert gap["conditions"]["wiring"]["series_resistance"] == 2000.0
    assert gap["conditions"]["fridge_temperature"] > 0
    assert gap["conditions"]["instruments"]["keithley"]["serial"]
    assert gap["conditions"]["ranges"]["voltage_range"] and max(gap["conditions"]["ranges"]["current_range"]) < 1e-5
    assert gap["conditions"]["host"] == platform.node()
    assert datetime.fromisoformat(gap["measured"]) < datetime.fromisoformat(gap["created"])
    assert gap["used"] is None
    assert gap["until"] is None
    assert asked(labnis, "at 2100-01-01 --simulated")


@pytest.mark.parametrize("seed", [1, 2])
def test_a_result_that_contradicts_the_one_before_is_told_at_once(seed: int, labnis: Commands, station: Path) -> None:
    """Also where device and instruments are drawn anew, by another seed: what they do not share does not cancel."""
    truth = station.parent / "truth.yaml"
    words = "run IVSweep --dry-run --set points=61 --seed"
    text = truth.read_text(encoding="utf-8")
    assert "fano_real_sigma" in text
    assert "E_n" not in labnis(f"{words} 1").err
    truth.write_text(changed(text, "  temperature: 0.110", "  temperature: 0.120"), encoding="utf-8")
    said = forked(f"{words} {seed}", station.parent).err  # this process keeps the twin that it has opened
    assert "electron_temperature differs by " in said
    assert "it has changed, or an assumption of one of them is wrong" in said
    assert "!" in labnis("ledger history electron_temperature --simulated").out
