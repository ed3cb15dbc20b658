"""26: the wall clock jumps by an hour, either way, in mid-run: rates and durations stay, and the step is noted.

`time.time` is moved inside the run's own process: moving the machine's clock is nothing a test may do.
"""

import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from labnis.cli import main
from labnis.experiment import run_plan
from labnis.storage import RunWriter, list_runs, read_events, read_metadata
from tests.faults.measuring import SWEEP, Lab
from tests.run.bench import BiasLog, Commands, write_station

JUMPING = """\
import sys, time
real, hours, rows = time.time, float(sys.argv.pop(1)), []
# An hour on, or back, from the thirtieth row on.
time.time = lambda: real() + (3600 * hours if len(rows) >= 30 else 0.0)
from labnis.cli import main
from labnis.storage import RunWriter
append = RunWriter.append

def counted(writer, row):
    rows.append(1)
    append(writer, row)

RunWriter.append = counted
main()
"""


@pytest.mark.parametrize("hours", [1, -1])
def test_a_jump_of_the_clock_changes_nothing_but_is_noted(lab: Lab, hours: int) -> None:
    words = ("run", "IVSweep", "--yes", "--set", "points=121", *SWEEP)
    begun = time.monotonic()
    lab.ended(lab.start_interpreter(*words, python=("-c", JUMPING, str(hours))), 0)
    lasted = time.monotonic() - begun
    lab.assert_safe()
    assert read_metadata(lab.run_file)["rows"] == 121
    steps = [event for event in read_events(lab.run_file) if event.kind == "clock-step"]
    assert len(steps) == 1
    assert steps[0].details["seconds"] == pytest.approx(3600 * hours, abs=2)
    assert 1 < read_metadata(lab.run_file)["duration"] < lasted


# --- the change between summer and winter time, on a wall clock of the test's own -------------------------------------

HELSINKI = ZoneInfo("Europe/Helsinki")
#: 25 October 2026: at 04:00 summer time it is 03:00 again. 29 March: after 03:00 comes 04:00.
AUTUMN = datetime(2026, 10, 25, 3, 59, 59, tzinfo=HELSINKI).timestamp()
SPRING = datetime(2026, 3, 29, 2, 59, 59, tzinfo=HELSINKI).timestamp()


class WallClock(datetime):
    """A wall clock in Helsinki that stands still at `moment` (s since 1970)."""

    moment = 0.0

    @classmethod
    def now(cls, tz: object = None) -> "WallClock":
        return cls.fromtimestamp(cls.moment, HELSINKI)

    def astimezone(self, tz: object = None) -> "WallClock":  # `.now().astimezone()` stays in Helsinki
        return self if tz is None else super().astimezone(tz)  # type: ignore[arg-type]


@pytest.fixture
def helsinki(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Helsinki")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("helsinki")
@pytest.mark.parametrize(("moment", "names"), [(AUTUMN, ["035959", "035959"]), (SPRING, ["025959", "045959"])])
def test_runs_on_both_sides_of_the_change_are_distinguished_and_in_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: float,
    names: list[str],
) -> None:
    """Begun an hour apart: in autumn at the same time of the clock on the wall, so only the offsets differ."""
    write_station(tmp_path)
    bias = BiasLog(monkeypatch)
    monkeypatch.setattr(run_plan, "datetime", WallClock)
    labnis = Commands(monkeypatch, capsys)
    for hours in range(2):
        monkeypatch.setattr(WallClock, "moment", moment + 3600 * hours)
        answer = labnis("run IVSweep --dry-run --set points=20")
        assert answer.code == 0, answer.err
    assert bias.left_at_zero
    first, second = list_runs(tmp_path / "data")
    assert [run.path.name[:6] for run in (first, second)] == names
    assert first.path != second.path
    starts = [read_metadata(run.path)["start"] for run in (first, second)]
    assert [start.timestamp() - moment for start in starts] == [0, 3600]
    offsets = [start.utcoffset().total_seconds() / 3600 for start in starts]
    assert offsets == ([3, 2] if moment == AUTUMN else [2, 3])
    for run in (first, second):
        assert read_events(run.path) == []  # the clock was not set
        assert 0 <= read_metadata(run.path)["duration"] < 60


@pytest.mark.usefixtures("helsinki")
def test_every_time_in_a_file_has_its_offset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_station(tmp_path)
    found = [datetime.now().astimezone()]
    original = RunWriter.finish

    def finishing(writer: RunWriter, *arguments: object, **options: object) -> None:
        writer.event("warning", "seen")
        original(writer, *arguments, **options)  # type: ignore[arg-type]
        known = read_metadata(writer.path)
        found.extend([known["start"], known["end"], read_events(writer.path)[0].time])

    monkeypatch.setattr(RunWriter, "finish", finishing)
    monkeypatch.setattr(sys, "argv", ["labnis", "run", "IVSweep", "--dry-run", "--set", "points=20"])
    with pytest.raises(SystemExit):
        main()
    assert len(found) == 4
    assert all(moment.utcoffset() is not None for moment in found)
    assert all(0 <= (after - found[0]).total_seconds() < 60 for after in found[1:])
