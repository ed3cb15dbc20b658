"""Runs at the twin in which one answer of an instrument is not that to its query, and what comes of them.

The twin is without noise, so that a run in which a query was repeated has the same rows as one that nothing happened
to.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from labnis.storage import open_run, read_events, read_metadata
from procedures import CALIBRATION
from sim_instruments.panels.front_panel import FrontPanel
from tests.faults.measuring import chance
from tests.run.bench import TRUTH_TEXT, Answer, BiasLog, Commands, changed

SHORT = "--dry-run --set settling_time=0.002 --set maximum_bias=5e-4"
TRACES = "--set points=4 --set averages=50 --set frequencies=11"
RUNS = {
    "IVSweep": f"run IVSweep {SHORT} --set points=10 --set time_constant=0.001",
    "ReflectionVsBias": f"run ReflectionVsBias {SHORT} {TRACES} --set power=0",
    "EmittedPowerVsBias": f"run EmittedPowerVsBias {SHORT} {TRACES}",
}
"""Procedure → a short run of it."""

PYMEASURE = Path(__file__).parents[1] / "station" / "setups" / "pymeasure.yaml"
OF_PYMEASURE = ("swapped", "nan", "overflow", "empty", "huge", "identity")
"""A station with drivers of pymeasure only, and kinds of spoiled answers that the roles have to find. A cut answer, and
one to the same query before, can be true: only a driver sees the terminator, and can ask for `*IDN?` in between."""

NAMES = {
    "Keithley2450": "keithley",
    "SR830": "sr830",
    "N9030B": "n9030b",
    "N5222B": "n5222b",
    "LakeShore372": "lakeshore",
}
"""Part of a panel's class → name of its instrument in the shipped station."""

ANSWERS = {"nan": b"NAN", "overflow": b"9.9E37", "empty": b"", "huge": b"1e12", "identity": b"SOMEBODY,ELSE,12345,1.0"}
KINDS = ("swapped", "earlier", "truncated", *ANSWERS)
"""The answer before, any earlier one, the beginning of the right one without its end, and constant ones."""

OF_THE_RUN = {"start", "end", "duration", "run_id", "number", "writer_pid", "writer_started"}
UNSTEADY = {"ts", "vals", "validators"}  # time, and text with addresses of objects, in QCoDeS's snapshot


@dataclass
class Spoiler:
    """Counts the answers of all panels; number `at` is spoiled as `kind` says."""

    kind: str = ""
    at: int = -1
    queries: list[tuple[str, str]] = field(default_factory=list)
    cut: bool = False
    _before: dict[str, list[bytes]] = field(default_factory=dict)

    def answer(self, panel: FrontPanel, message: str, honest: list[bytes]) -> list[bytes]:
        if not honest:
            return honest
        number = len(self.queries)
        name = next(name for part, name in NAMES.items() if part in type(panel).__name__)
        self.queries.append((name, message))
        before = self._before.setdefault(name, [b""])
        before.append(honest[0])
        dice = chance(number)
        match self.kind if number == self.at else "":
            case "":
                return honest
            case "swapped":
                return [before[-2]]
            case "earlier":
                return [dice.choice(before[:-1])]
            case "truncated":
                self.cut = True
                return [honest[0][: dice.randrange(max(1, len(honest[0])))]]
        return [ANSWERS[self.kind]]


@contextmanager
def spoiling(spoiler: Spoiler) -> Iterator[None]:
    """Let `spoiler` answer in place of the twin's panels."""
    receive = FrontPanel.receive

    def received(panel: FrontPanel, message: bytes) -> None:
        honest = panel.execute
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(panel, "execute", lambda line: spoiler.answer(panel, line, honest(line)))
            receive(panel, message)
        if spoiler.cut:
            spoiler.cut = False
            if begun := panel._output.pop().removesuffix(panel.terminator):
                panel._output.append(begun)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FrontPanel, "receive", received)
        yield


@dataclass
class Outcome:
    """A run, and what it leaves."""

    spoiler: Spoiler
    answer: Answer
    metadata: Mapping[str, Any] = field(default_factory=dict)
    data: xarray.Dataset | None = None
    events: int = 0
    bias_at_zero: bool = True


class SpoiledRuns:
    """Short runs of `procedure` by the command line, with the spoiled answer that each is asked for."""

    def __init__(
        self, procedure: str, labnis: Commands, bias: BiasLog, folder: Path, station: Path | None = None
    ) -> None:
        self._command, self._labnis, self._bias, self._folder = RUNS[procedure], labnis, bias, folder
        if station is not None:
            self._command += f" --station '{station}' --twin truth.yaml"
        noise = "current_white: 2.0e-13", "current_white: 0.0, voltage_white: 0.0, temperature_relative: 0.0"
        truth = changed(TRUTH_TEXT, noise[0], noise[1].replace(", ", "\n  "))
        (folder / "truth.yaml").write_text(truth, encoding="utf-8")
        self.undisturbed = self.played()
        assert self.undisturbed.answer.code == 0, self.undisturbed.answer.err

    def played(self, kind: str = "", at: int = -1) -> Outcome:
        """One run; answer number `at` is spoiled."""
        self._bias.states.clear()
        spoiler = Spoiler(kind, at)
        data = self._folder / f"data-{kind}-{at}"
        with spoiling(spoiler):
            answer = self._labnis(f"{self._command} --data '{data}'")
        zero = not self._bias.moved or self._bias.left_at_zero
        files = list(data.rglob("*.h5"))
        if not files:
            return Outcome(spoiler, answer, bias_at_zero=zero)
        [path] = files
        with open_run(path) as found:
            rows = found.load()
        return Outcome(spoiler, answer, _flat(read_metadata(path)), rows, len(read_events(path)), zero)

    def problems(self, kind: str, at: int) -> list[str]:
        """What is wrong with the run whose answer number `at` is spoiled; nothing should be."""
        found = self.played(kind, at)
        name, query = found.spoiler.queries[at]
        told = _problems_of_rows(found, self.undisturbed)
        if not found.bias_at_zero:
            told.append("the bias is not at zero")
        if found.answer.code == 0:
            told += _problems_of_metadata(found, self.undisturbed)
        else:
            told += _problems_of_error(found.answer, name, query)
        return [f"{kind} answer {at} of {name} to {query!r}: {problem}" for problem in told]


def _problems_of_error(answer: Answer, name: str, query: str) -> list[str]:
    """An error names the instrument and has exit code 5; 2 where it cannot be opened, 4 where an interlock reads it."""
    told = []
    of_interlock = answer.code == 4 and "not started: " in answer.err
    if not (answer.code in (2, 5) or of_interlock) or "Traceback" in answer.err:
        told.append(f"exit code {answer.code}")
    if name not in answer.err:
        told.append("the instrument is not named")
    return [f"{problem}: {answer.err[-2000:]}" for problem in told]


def _problems_of_rows(found: Outcome, right: Outcome) -> list[str]:
    """Rows are those of the undisturbed run, except NaN where there is an event with the reason."""
    if found.data is None or right.data is None:
        return []
    told = []
    for name, values in found.data.variables.items():
        if name in ("time", "time_utc", "quality"):
            continue
        expected = right.data[name].values
        same = np.isclose(
            values, expected, rtol=1e-2, atol=1e-3 * np.nanmax(np.abs(expected), initial=0.0), equal_nan=True
        )
        if found.events or found.answer.code:
            same |= np.isnan(values)
        if not same.all():
            told.append(f"{name} is {values.values[~same][:3]} instead of {expected[~same][:3]}")
    return told


def _problems_of_metadata(found: Outcome, right: Outcome) -> list[str]:
    told = []
    for key in sorted(found.metadata.keys() | right.metadata.keys()):
        value, expected = found.metadata.get(key), right.metadata.get(key)
        if value != expected and ".readings" not in key:
            told.append(f"{key} is {value!r} instead of {expected!r}")
    return told


def _flat(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Every value of the metadata by its path, without those that are particular to one run."""
    # The name of a drift ends with the run in which it is the same error.
    text = re.sub(r'_drift@[^"\\]+', "_drift", json.dumps(dict(metadata), default=str))
    plain = json.loads(text)
    return dict(_leaves("", {key: value for key, value in plain.items() if key not in OF_THE_RUN}))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in UNSTEADY:
                yield from _leaves(f"{path}.{key}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(f"{path}[{number}]", inner)
    else:
        yield path, value


def without_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the analyses, which take most of the time of such a short run."""
    for procedure in CALIBRATION:
        monkeypatch.setattr(procedure, "ANALYSES", ())


def sampled(queries: list[tuple[str, str]], count: int) -> list[tuple[str, int]]:
    """`count` different queries, each with a kind of spoiled answer: (kind, number)."""
    dice = chance(58)
    first = {
        (name, re.sub(r"-?\d+\.?\d*(e-?\d+)?;", ";", query)): at
        for at, (name, query) in reversed(list(enumerate(queries)))
    }
    chosen = dice.sample(sorted(first.values()), min(count, len(first)))
    return [(dice.choice(KINDS), at) for at in chosen]
