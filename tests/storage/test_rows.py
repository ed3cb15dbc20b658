"""Rows that do not fit are refused by name, and the run goes on."""

import threading

import numpy as np
import pytest

from labnis.storage import RowError, StorageError, open_run

from .conftest import finished, row


@pytest.mark.parametrize(
    ("change", "column", "problem"),
    [
        ({"current": None}, "current", "float is needed, got NoneType"),
        ({"current": "1.5"}, "current", "got str"),
        ({"current": 1j}, "current", "got complex"),
        ({"current": True}, "current", "got bool"),
        ({"current": [1.0]}, "current", r"shape is \(1,\), needed is \(\)"),
        ({"s11": np.zeros(6)}, "s11", r"shape is \(6,\), needed is \(7,\) \(axes: frequency\)"),
        ({"s11": 1.0}, "s11", r"shape is \(\)"),
        ({"s11": [[1, 2], [3]]}, "s11", "inhomogeneous"),
        ({"voltage": 1.0}, "voltage", "unknown column; the run's columns are point, bias, current, s11"),
    ],
)
def test_bad_row_is_named_and_not_taken(new_run, change, column, problem):
    with finished(new_run(run_id="abc")) as run:
        run.append(row(0))
        with pytest.raises(RowError, match=rf"^run abc, row 1, column '{column}': .*{problem}"):
            run.append(row(1) | change)
        run.append(row(1))
    assert open_run(run.path).current.values.tolist() == [0, -1]


def test_missing_column(new_run):
    with finished(new_run()) as run, pytest.raises(RowError, match="row 0, column 's11': missing"):
        run.append({"bias": 0.0, "current": 0.0})


def test_arrays_may_be_reused_by_the_caller(new_run):
    trace = np.zeros(7, complex)
    with finished(new_run()) as run:
        for index in range(3):
            trace[:] = index
            run.append({"bias": 0.0, "current": 0.0, "s11": trace})
    assert open_run(run.path).s11[:, 0].values.tolist() == [0, 1, 2]


def test_rows_beyond_the_memory_limit_go_to_disk_unasked(new_run, monkeypatch):
    monkeypatch.setattr("labnis.storage._writer.MAX_WAITING_BYTES", 1000)
    run = new_run()
    for index in range(100):
        run.append(row(index))
    wait = threading.Event()
    for _ in range(500):
        on_disk = open_run(run.path).sizes["point"]
        if on_disk > 90:
            break
        wait.wait(0.01)
    run.finish("done")
    assert on_disk > 90
    assert open_run(run.path).current.values.tolist() == [-index for index in range(100)]


def test_a_finished_run_takes_nothing_more(new_run):
    run = new_run()
    run.finish("done")
    for attempt in (lambda: run.append(row(0)), lambda: run.finish("failed"), lambda: run.write_fit("x", {})):
        with pytest.raises(StorageError, match="finished already"):
            attempt()
    assert open_run(run.path).attrs["status"] == "done"
