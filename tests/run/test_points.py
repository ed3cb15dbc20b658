"""Rows and points: a point may be recorded again or not at all, also in a run that is resumed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from labnis.errors import RequestError
from labnis.experiment.run import stored_run
from labnis.storage import open_rows, read_events
from procedures import IVSweep
from tests.run.bench import Watcher, dry_session
from tests.run.lab_procedures import CosineScan


class Choosy(IVSweep):
    """Records the n-th point `times[n]` times; fails before the point `fails_at`."""

    ANALYSES: ClassVar[tuple[str, ...]] = ()
    times: Sequence[int] = ()
    fails_at = -1

    def execute(self) -> None:
        for number, (*_, bias) in enumerate(self.sweep(), self.first_point):
            if number == self.fails_at:
                raise RuntimeError("power cut")
            self.settle_at(bias)
            for again in range(self.times[number]):
                self.record({"Current (A)": 10 * number + again})


def choosy(times: Sequence[int], fails_at: int = -1, **settings: Any) -> Choosy:
    procedure = Choosy(maximum_bias=1e-4, points=10, **settings)
    procedure.times, procedure.fails_at = times, fails_at
    return procedure


def test_a_point_that_is_recorded_again_stays_and_its_last_row_counts(tmp_path: Path) -> None:
    times = [1] * 20
    times[12] = 2  # the eighth bias from below, on the way back
    with dry_session(tmp_path, Watcher()) as session:
        run = session.run(choosy(times, direction="up-down"))
    assert run.rows == 21
    expected = np.array([np.arange(10), np.arange(19, 9, -1)]) * 10.0
    expected[1, 7] += 1
    np.testing.assert_array_equal(run.data["current"], expected)
    rows = open_rows(run.path)
    assert rows["point"].values[12:14].tolist() == [17, 17]
    np.testing.assert_array_equal(rows["bias"][12], rows["bias"][13])


@pytest.mark.parametrize("times", [[1, 2, 1, 2, 1, 1, 1, 1, 1, 1], [1, 0, 1, 0, 1, 0, 1, 0, 1, 0]])
def test_a_resumed_run_has_the_rows_of_one_that_was_not_interrupted(times: Sequence[int], tmp_path: Path) -> None:
    points = np.repeat(np.arange(10), times).tolist()
    with dry_session(tmp_path, Watcher()) as session:
        with pytest.raises(RuntimeError, match="power cut"):
            session.run(choosy(times, fails_at=4))
        (path,) = tmp_path.glob("data/*/*/*.h5")
        assert session.run(choosy(times), resume=path).status == "done"
    rows = open_rows(path)
    assert rows["point"].values.tolist() == points
    np.testing.assert_array_equal(rows["current"] // 10, points)
    (overlap,) = [event for event in read_events(path) if event.kind == "overlap"]
    assert overlap.details["drift"]["current"] == 0
    assert overlap.count == max(times)  # as often as the last point was recorded


def test_a_procedure_that_cannot_begin_at_the_last_point_is_not_resumed(tmp_path: Path) -> None:
    class Fails(CosineScan):
        cut = True

        def execute(self) -> None:
            super().execute()
            raise RuntimeError("power cut")

    with dry_session(tmp_path, Watcher()) as session:
        with pytest.raises(RuntimeError, match="power cut"):
            session.run(Fails())
        (path,) = tmp_path.glob("data/*/*/*.h5")
        with pytest.raises(RequestError, match="Fails cannot begin at point 4"):
            session.run(Fails(), resume=path)
    assert stored_run(path).rows == 5
