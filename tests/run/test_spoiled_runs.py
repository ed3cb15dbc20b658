"""One spoiled answer during a whole run: its file is that of the undisturbed run, or the run ends with a true error."""

from pathlib import Path

import pytest

from tests.run.bench import BiasLog, Commands
from tests.run.spoiled_runs import PYMEASURE, RUNS, SpoiledRuns, without_fits

pytestmark = pytest.mark.faults

SPOILED = {
    "IVSweep": [
        ("truncated", "keithley", "*IDN?", 1),
        ("identity", "sr830", "*IDN?", 2),
        ("swapped", "lakeshore", "SRDG? 1", 0),  # in QCoDeS's snapshot
        ("huge", "keithley", ":SENS:CURR:NPLC?", -1),
        ("swapped", "lakeshore", "KRDG? 1", -1),
        ("truncated", "keithley", ':READ? "defbuffer1",SOUR,READ,SOURSTAT', -1),
    ],
    "ReflectionVsBias": [("earlier", "n5222b", ":SENS:SWE:TIME?", -1), ("swapped", "n5222b", ":CALC:DATA? SDATA", -1)],
    "EmittedPowerVsBias": [("nan", "n9030b", ":SWE:POIN?", -1), ("overflow", "n9030b", ":FETC:SAN1?", -1)],
}
"""Procedure → kind of spoiled answer, instrument, query (the first of its message) and which of these queries."""


@pytest.mark.parametrize("procedure", RUNS)
def test_one_spoiled_answer_never_makes_a_wrong_number(
    procedure: str, labnis: Commands, bias: BiasLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_fits(monkeypatch)
    runs = SpoiledRuns(procedure, labnis, bias, tmp_path)
    told = []
    for kind, name, query, which in SPOILED[procedure]:
        asked = enumerate(runs.undisturbed.spoiler.queries)
        places = [at for at, (whom, message) in asked if whom == name and message.startswith(query)]
        told += runs.problems(kind, places[which])
    assert not told, "\n".join(told)


def test_nor_with_drivers_of_another_library(
    labnis: Commands, bias: BiasLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An output that is off answers 9.9e37, which the driver casts to True; a reading that is the level before."""
    without_fits(monkeypatch)
    runs = SpoiledRuns("IVSweep", labnis, bias, tmp_path, PYMEASURE)
    queries = runs.undisturbed.spoiler.queries
    first_state = queries.index(("keithley", "OUTPUT?"))
    last_state = len(queries) - 1 - [query for _, query in queries[::-1]].index("OUTPUT?")
    readings = [at for at, (_, query) in enumerate(queries) if query == ":READ?"]
    spoiled = [
        ("overflow", first_state),
        ("empty", last_state - 2),
        ("swapped", readings[3]),
        ("huge", readings[4] + 2),
    ]
    told = [problem for kind, at in spoiled for problem in runs.problems(kind, at)]
    assert not told, "\n".join(told)
