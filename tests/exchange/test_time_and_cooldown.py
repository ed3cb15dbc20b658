"""When imported data were measured, and in which cooldown: by the file or the user, else told."""

import json
import os
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import labnis as package
from labnis.errors import RequestError
from labnis.exchange.exporting import export
from labnis.exchange.importing import import_run
from labnis.storage import read_events
from tests.exchange.test_importing import CURRENT, VOLTAGE
from tests.run.bench import Commands

HEADER = "device_voltage (V),current (A)\n"
ROWS = "".join(f"{v:.9e},{i:.9e}\n" for v, i in zip(VOLTAGE, CURRENT, strict=True))
MEASURED = datetime(2021, 4, 27, 11, 15, 46).astimezone()


@pytest.mark.parametrize(
    ("line", "measured"),
    [
        ("# Start: 2021-04-27T11:15:46", MEASURED),
        ("!Date: Tuesday, April 27, 2021 11:15:46", MEASURED),
        ("Saved Date,27.04.2021 11:15:46", MEASURED),
        ("# 27 Apr 2021 11:15:46", MEASURED),
        ("# Tue Apr 27 11:15:46 2021", MEASURED),
        ("# 2021-04-27 11:15:46+02:00", datetime.fromisoformat("2021-04-27T11:15:46+02:00")),
        ("# 04/05/2021 11:15:46", None),  # of April or May
        ("# 2021-13-45 11:15:46", None),
        ("# 2921-04-27 11:15:46", None),
        ("# 05.04.2021 11:15:46 PM", None),
    ],
)
def test_the_time_of_a_header(line: str, measured: datetime | None, tmp_path: Path) -> None:
    file = tmp_path / "c.csv"
    file.write_text(f"# a curve\n{line}\n{HEADER}{ROWS}", encoding="utf-8")
    os.utime(file, (1e9, 1e9))
    run = import_run(file, "IVSweep", data=tmp_path)
    (told,) = run.notes
    assert told in run.metadata["note"], "it goes with the run"
    if measured is None:
        assert run.metadata["start"] == datetime.fromtimestamp(1e9, UTC)
        assert told.startswith("the time of the measurement is not known: 2001-09-")
        assert "when the file was written, is taken for it; --start" in told
    else:
        assert run.metadata["start"] == measured
        assert told.endswith("by line 2 of the file")


def _labber(file: h5py.File) -> None:
    file.attrs["creation_time"] = MEASURED.timestamp()


def _plottr(file: h5py.File) -> None:
    file["data"].attrs["__creation_time_sec__"] = MEASURED.timestamp()


@pytest.mark.parametrize("stamped", [_labber, _plottr])
def test_the_time_of_a_binary_file(stamped: Callable[[Any], None], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "c.hdf5", "w") as file:
        for name, values, unit in (("device_voltage", VOLTAGE, "V"), ("current", CURRENT, "A")):
            file.create_dataset(f"data/{name}", data=values).attrs["unit"] = unit
        stamped(file)
    assert import_run(tmp_path / "c.hdf5", "IVSweep", data=tmp_path).metadata["start"] == MEASURED


def test_of_columns_in_memory_the_time_is_told(tmp_path: Path) -> None:
    columns = {"device_voltage": VOLTAGE, "current": CURRENT}
    run = import_run(columns, "IVSweep", data=tmp_path)
    assert "that of the import, is taken for it" in run.notes[0]
    run = import_run(columns, "IVSweep", data=tmp_path, start=MEASURED, cooldown="CD3")
    assert (run.notes, run.metadata["start"], run.metadata["cooldown"]) == ((), MEASURED, "CD3")
    assert not read_events(run.path), "the clock was not set back"
    with pytest.raises(RequestError, match="is in the future"):
        import_run(columns, "IVSweep", data=tmp_path, start=MEASURED + timedelta(days=1e5))
    with pytest.raises(RequestError, match="has no time zone"):
        import_run(columns, "IVSweep", data=tmp_path, start=datetime(2021, 4, 27))  # noqa: DTZ001


def test_a_time_of_qcodes(tmp_path: Path) -> None:
    run = import_run({"device_voltage": VOLTAGE, "current": CURRENT}, "IVSweep", data=tmp_path, start=MEASURED)
    (file,) = export(run.path, "qcodes", tmp_path / "r.db")
    with sqlite3.connect(file) as database:
        database.execute("UPDATE runs SET labnis = NULL")
        written = database.execute("SELECT run_timestamp FROM runs").fetchone()[0]
    database.close()
    found = import_run(file, "IVSweep", data=tmp_path)
    assert found.metadata["start"].timestamp() == pytest.approx(written)
    assert "by run_timestamp of the file" in found.notes[0]


def test_a_command_has_cooldown_and_start(labnis: Commands, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(HEADER + ROWS, encoding="utf-8")
    answer = labnis("import c.csv --as IVSweep --device A7 --cooldown CD3 --start 2021-04-27T11:15:46 --json")
    assert answer.code == 0, answer.err
    (path,) = json.loads(answer.out)["runs"]
    assert (package.open_run(path).metadata["start"], Path(path).parents[1].name) == (MEASURED, "CD3")
    listed = json.loads(labnis("ledger at 2021-05-27 --device A7 --cooldown CD3 --json").out)
    assert "gap" in [one["quantity"] for one in listed], listed
    later = json.loads(labnis("ledger at 2100-01-01 --device A7 --cooldown CD3 --json").out)
    assert [one["quantity"] for one in later] == [one["quantity"] for one in listed]
    told = labnis("import c.csv --as IVSweep --device A7")
    assert told.code == 0 and "when the file was written, is taken for it; --start" in " ".join(told.err.split())


def test_a_cooldown_of_imported_data_can_be_started(labnis: Commands, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(HEADER + ROWS, encoding="utf-8")
    assert labnis("import c.csv --as IVSweep --device nis_device --cooldown CD5 --start 2021-04-27").code == 0
    listed = labnis("cooldown list").out
    assert "CD5" in listed and f"{datetime.now().astimezone():%Y-%m-%d}" not in listed, "nobody knows when it was"
    assert labnis("cooldown start CD5").code == 0
    assert "CD5" in labnis("cooldown list").out and "current" in labnis("cooldown list").out
    answer = labnis("cooldown start CD5")
    assert answer.code == 2 and "cooldown 'CD5' exists in the ledger" in answer.err


def test_data_of_another_time_than_the_cooldown_are_refused(labnis: Commands, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text(HEADER + ROWS, encoding="utf-8")
    assert labnis("cooldown start CD4").code == 0
    command = "import c.csv --as IVSweep --device nis_device --cooldown CD4"
    answer = labnis(f"{command} --start 2021-04-27T11:15:46")
    assert answer.code == 2
    told = " ".join(answer.err.split())
    assert "measured at 2021-04-27 11:15, and the cooldown CD4 of the ledger is from" in told
    assert not list(tmp_path.rglob("*.h5"))
    now = datetime.now().astimezone().isoformat()
    assert labnis(f"{command} --start {now}").code == 0
    assert np.isfinite(package.open_run(next(tmp_path.rglob("*.h5"))).results["gap"].value)
