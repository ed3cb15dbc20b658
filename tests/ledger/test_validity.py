"""What was valid when, how far results are from each other, and what is never valid."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labnis.ledger import (
    Calibration,
    InvalidEntryError,
    NoCalibrationError,
    Validity,
    grounds,
    later_doubts,
    normalized_error,
    open_ledger,
    valid_at,
    validities,
)
from tests.ledger.test_ledger import entry

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = START + timedelta(days=30)


def measured(day: float, **more: Any) -> Any:
    return entry(measured=START + timedelta(days=day), run_id=f"run{day:g}".replace(".", ""), **more)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def entered(file: Path, *entries: Any, device: str = "A7", cooldown: str = "CD12") -> list[Calibration]:
    ledger = open_ledger(file, device=device)
    ledger.closed_cooldown(cooldown)
    return [one for given in entries for one in ledger.add_calibrations([given], cooldown=cooldown)]


def all_validities(file: Path, **expires: float) -> list[Validity]:
    ledger = open_ledger(file)
    hours = {name: timedelta(hours=time) for name, time in expires.items()}
    return validities(ledger.calibrations(), [], hours, NOW)


def days(one: Validity) -> float | None:
    return None if one.until is None else (one.until - START) / timedelta(days=1)


def test_a_calibration_is_valid_until_the_next_one_was_measured(file: Path) -> None:
    # Entered in another order than measured, as after a failure of the database.
    second, first = entered(file, measured(3, value=61.0), measured(1, value=60.0))
    found = all_validities(file)
    assert [one.calibration.number for one in found] == [first.number, second.number]
    assert [days(one) for one in found] == [3.0, None]
    assert found[0].ended_by == f"superseded by {second.number}"
    assert [one.calibration for one in valid_at(found, START + timedelta(days=2.9))] == [first]
    assert [one.calibration for one in valid_at(found, START + timedelta(days=3))] == [second]
    assert valid_at(found, START) == []


def test_what_was_revoked_or_is_in_doubt_was_never_valid(file: Path) -> None:
    first, bad, doubtful = entered(file, measured(1), measured(2), measured(3, warnings="no"))
    open_ledger(file).revoke(bad.number, "the cable was loose")
    found = all_validities(file)
    assert [days(one) for one in found] == [None, 2.0, 3.0]
    assert [one.ended_by for one in found] == ["", "revoked: the cable was loose", "in doubt: no"]
    for day in (1.5, 2.5, 3.5):
        assert [one.calibration for one in valid_at(found, START + timedelta(days=day))] == [first]
    assert doubtful.warnings


def test_a_rule_of_the_lab_ends_it(file: Path) -> None:
    entered(file, measured(1), measured(2), measured(1, quantity="gap", value=1.0))
    found = all_validities(file, gain=12.0)
    assert [(one.calibration.quantity, days(one), one.ended_by) for one in found] == [
        ("gain", 1.5, "expired"),
        ("gap", None, ""),
        ("gain", 2.5, "expired"),
    ]
    assert valid_at(found, START + timedelta(days=1.7))[0].calibration.quantity == "gap"


def test_devices_cooldowns_and_simulated_runs_are_apart(file: Path) -> None:
    entered(file, measured(1), measured(2, simulated=True))
    entered(file, measured(3), device="B2")
    entered(file, measured(4), cooldown="CD13")
    assert [days(one) for one in all_validities(file)] == [None, None, None, None]


def test_a_cooldown_ends_what_was_found_in_it(file: Path) -> None:
    ledger = open_ledger(file, device="A7")
    ledger.start_cooldown("CD12")
    ledger.add_calibrations([entry()])
    ledger.end_cooldown()
    (found,) = validities(ledger.calibrations(), ledger.cooldowns(), {}, datetime.now(UTC))
    assert found.ended_by == "end of the cooldown"
    assert found.until == ledger.cooldowns()[0].ended


def test_what_expired_or_was_revoked_is_no_prior(file: Path) -> None:
    old = entry(
        quantity="gain", analysis="emitted_power", measured=datetime.now(UTC) - timedelta(hours=30), run_id="old"
    )
    beside = entry(quantity="noise_temperature", analysis="emitted_power", measured=old.measured, run_id="old")
    ledger = open_ledger(file, device="A7", valid_for={"gain": timedelta(hours=24)})
    ledger.start_cooldown("CD12")
    rows = ledger.add_calibrations([old, beside])
    asked: dict[str, Any] = {"cooldown": "CD12", "simulated": False}
    assert ledger.latest(**asked, analysis="emitted_power") is None
    assert ledger.latest(**asked, quantity="gain") is None
    assert ledger.latest(**asked, quantity="noise_temperature") == rows[1]
    assert ledger.latest(**asked, analysis="emitted_power", expired=True) == rows[1]
    revoked = ledger.revoke(rows[0].number, "wrong attenuator")
    assert [one.quantity for one in revoked] == ["gain", "noise_temperature"], "a fit is revoked as a whole"
    assert ledger.latest(**asked, analysis="emitted_power", expired=True, doubtful=True) is None


def test_what_rests_on_a_revoked_fit_is_in_doubt_whenever_it_is_entered(file: Path) -> None:
    """Rates by a curve, and gains by these rates: before the curve is revoked, and after (measured meanwhile)."""
    ledger = open_ledger(file, device="A7")
    ledger.start_cooldown("CD12")
    curve = entry(quantity="gap", analysis="current_voltage", run_id="curve")
    used = {
        name: json.dumps([pair])
        for name, pair in (("curve", ("current_voltage", "curve")), ("rates", ("reflection", "rates")))
    }
    rates = entry(quantity="damping_line", analysis="reflection", run_id="rates", used=used["curve"])
    gain, later = (entry(analysis="emitted_power", run_id=run, used=used["rates"]) for run in ("gain", "later"))
    (first, *_) = (ledger.add_calibrations([one])[0] for one in (curve, rates, gain))
    ledger.revoke(first.number, "exchanged probes")
    ledger.add_calibrations([later])
    told = "it rests on the current_voltage fit of run curve, which was revoked: exchanged probes"
    assert [one.warnings for one in ledger.calibrations()] == ["", told, told, told]
    assert ledger.latest("CD12", simulated=gain.simulated, analysis="reflection") is None
    assert [one.run_id for one in grounds(ledger.calibrations(), ledger.calibrations(run_id="later"))] == [
        "rates",
        "curve",
    ]
    assert later_doubts(ledger.calibrations(run_id="gain"), ()) == [told]
    assert later_doubts(ledger.calibrations(run_id="curve"), ()) == ["it was revoked: exchanged probes"]


@pytest.mark.parametrize("number", [0, 77, -1, 10**30])
def test_what_cannot_be_revoked_or_noted(number: int, file: Path) -> None:
    (one,) = entered(file, measured(1))
    ledger = open_ledger(file)
    with pytest.raises(NoCalibrationError, match=f"no calibration has the number {number}"):
        ledger.revoke(number, "x")
    with pytest.raises(NoCalibrationError):
        ledger.add_note(77, "x")
    for action in (ledger.revoke, ledger.add_note):
        with pytest.raises(InvalidEntryError):
            action(one.number, "  ")
    ledger.revoke(one.number, "bad")
    with pytest.raises(InvalidEntryError, match=r"was revoked on .*: bad"):
        ledger.revoke(one.number, "again")


def test_notes_stay_in_their_order(file: Path) -> None:
    (one,) = entered(file, measured(1))
    ledger = open_ledger(file)
    for text in ("the pump stopped", "and went on <b>"):
        ledger.add_note(one.number, text)
    assert [note.text for note in open_ledger(file).notes()[one.number]] == ["the pump stopped", "and went on <b>"]


# --- E_n -------------------------------------------------------------------------------------------------------------


def with_sources(value: float, noise: float, **contributions: float) -> Any:
    systematic = math.hypot(*contributions.values()) if contributions else 0.0
    return entry(
        value=value,
        sigma=math.hypot(noise, systematic),
        systematic=systematic,
        contributions=json.dumps(contributions),
    )


def test_what_both_share_cancels() -> None:
    one, other = with_sources(60.0, 0.01, attenuator=0.2), with_sources(60.1, 0.01, attenuator=0.2)
    assert normalized_error(one, other) == pytest.approx(0.1 / (2 * math.hypot(0.01, 0.01)))
    apart = with_sources(60.1, 0.01, another=0.2)
    assert normalized_error(one, apart) == pytest.approx(0.1 / (2 * math.hypot(0.01, 0.01, 0.2, 0.2)))


def test_a_source_that_acts_with_another_size_cancels_as_far_as_it_is_the_same() -> None:
    one, other = with_sources(1.0, 0.0, line=0.2), with_sources(1.1, 0.0, line=0.15)
    assert normalized_error(one, other) == pytest.approx(0.1 / (2 * 0.05))


def test_limits_and_results_without_any_uncertainty() -> None:
    limit = entry(value=None, sigma=None, limit=0.05)
    assert math.isnan(normalized_error(limit, entry()))
    same = entry(sigma=0.0)
    assert normalized_error(same, same) == 0.0
    assert normalized_error(same, entry(sigma=0.0, value=61.0)) == math.inf


def test_five_of_a_hundred_pairs_of_the_same_gain_are_beyond_one() -> None:
    chance = np.random.default_rng(4)
    errors = []
    for _ in range(4000):
        shared = 0.1 * chance.standard_normal()
        values = 60.0 + shared + 0.05 * chance.standard_normal(2)
        errors.append(normalized_error(*(with_sources(value, 0.05, chain=0.1) for value in values)))
    assert np.mean(np.array(errors) > 1) == pytest.approx(0.0455, abs=0.01)


def test_each_is_compared_with_the_one_before_it_that_counts(file: Path) -> None:
    _, bad, _, _ = entered(file, measured(1), measured(2, value=70.0), measured(3, value=60.3), measured(4, value=62.3))
    open_ledger(file).revoke(bad.number, "bad")
    errors = [one.error for one in all_validities(file)]
    sigma = 2 * math.hypot(0.08, 0.08)
    assert errors == pytest.approx([math.nan, math.nan, 0.05 / sigma, 2.0 / sigma], nan_ok=True)


def test_a_cooldown_that_was_never_begun_here_does_not_end(file: Path) -> None:
    """As that of an import: what was measured before the import is valid after it."""
    (one,) = entered(file, measured(1))
    ledger = open_ledger(file)
    assert ledger.cooldowns()[0].ended is not None
    (found,) = validities(ledger.calibrations(), ledger.cooldowns(), {}, datetime.now(UTC) + timedelta(days=1))
    assert (found.calibration, found.until, found.ended_by) == (one, None, "")
