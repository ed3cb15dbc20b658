"""The table at the end of docs/reliability.md."""

import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import psutil  # type: ignore[import-untyped]

from labnis import __version__
from tests.soak.case import Case
from tests.soak.faulty_calibrations import Faulty
from tests.soak.kills import Kill
from tests.soak.long_run import Block
from tests.soak.power_cuts import Cut

__all__ = ["HEADING", "Soak", "report"]

HEADING = "## The last soak"
"""Everything below it in docs/reliability.md is written by `make soak`."""


CASES = {
    "stop": "runs of which the run, its guardian or both were stopped by SIGSTOP",
    "interlock": "interlocks violated during a long acquisition",
    "signal": "signals during a long acquisition",
    "lock": "attacks on the locks of a run",
}
"""Kinds of cases with one shape of result, and their first line in the table."""


@dataclass
class Soak:
    """What a soak found."""

    kills: list[Kill] = field(default_factory=list)
    faults: list[Faulty] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)
    cases: dict[str, list[Case]] = field(default_factory=lambda: {kind: [] for kind in CASES})
    blocks: Sequence[Block] = ()
    minutes: float = 0.0

    @property
    def problems(self) -> list[str]:
        """What did not hold, in a line each."""
        told = [("kill", one.seed, one.problems) for one in self.kills]
        told += [("fault", one.seed, one.problems) for one in self.faults]
        told += [("power cut", one.seed, one.problems) for one in self.cuts]
        told += [(kind, one.seed, one.problems) for kind, cases in self.cases.items() for one in cases]
        return [f"{what} {seed}: {problem}" for what, seed, problems in told for problem in problems]


def report(soak: Soak) -> str:
    """Markdown, from the heading on."""
    memory = psutil.virtual_memory().total / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"
    lines = [
        HEADING,
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, labnis {__version__}, {machine}; {soak.minutes:.0f} minutes.",
        "",
        "| what | result |",
        "|-|-|",
        *(f"| {what} | {result} |" for what, result in _kills(soak.kills)),
        *(f"| {what} | {result} |" for what, result in _faults(soak.faults)),
        *(
            f"| {what} | {result} |"
            for kind, cases in soak.cases.items()
            for what, result in _of_kind(CASES[kind], cases)
        ),
        *(f"| {what} | {result} |" for what, result in _cuts(soak.cuts)),
        *(f"| {what} | {result} |" for what, result in _blocks(soak.blocks)),
    ]
    problems = soak.problems
    lines += ["", "Everything held." if not problems else "What did not hold:", ""]
    return "\n".join([*lines, *(f"- {' '.join(problem.split())[:500]}" for problem in problems)]).rstrip() + "\n"


def _kills(kills: Sequence[Kill]) -> list[tuple[str, str]]:
    if not kills:
        return []
    stages = Counter(kill.stage for kill in kills)
    writes = _spread([kill.first_write for kill in kills], "s")
    zeros = _spread([kill.zero_after for kill in kills], "s")
    kept = sum(kill.kept for kill in kills), sum(kill.acknowledged for kill in kills)
    resumed = sum(kill.resumed for kill in kills)
    failed = sum(bool(kill.problems) for kill in kills)
    return [
        ("runs killed with SIGKILL at random moments", f"{len(kills)}"),
        ("… before the output went on / with it on / after it went off", " / ".join(map(str, map(stages.get, STAGES)))),
        ("… first step towards zero after the kill", writes),
        ("… output off at zero after the kill", zeros),
        ("… rows acknowledged / rows in the recovered files", f"{kept[1]} / {kept[0]}"),
        (
            "… resumed to the last point",
            f"{resumed} (the others had no rows, or were done)",
        ),
        ("… in which anything did not hold", f"{failed}"),
    ]


STAGES = ("before", "on", "after")


def _faults(faults: Sequence[Faulty]) -> list[tuple[str, str]]:
    if not faults:
        return []
    codes = Counter(fault.exit_code for fault in faults)
    outcomes = Counter(fault.outcome for fault in faults)
    return [
        ("full calibrations with a random fault of an instrument", f"{len(faults)}"),
        ("… in which the fault met a message", f"{sum(fault.struck > 0 for fault in faults)}"),
        ("… exit code: how often", ", ".join(f"{code}: {count}" for code, count in sorted(codes.items()))),
        ("… bias at zero at the end", f"{outcomes['zero']}"),
        ("… source out of reach, reported as UNKNOWN, at zero by `labnis safe` later", f"{outcomes['unknown']}"),
        ("… in which anything did not hold", f"{sum(bool(fault.problems) for fault in faults)}"),
    ]


def _of_kind(first: str, cases: Sequence[Case]) -> list[tuple[str, str]]:
    if not cases:
        return []
    happened = Counter(case.happened for case in cases)
    codes = Counter("none" if case.exit_code is None else str(case.exit_code) for case in cases)
    timed = sorted({what for case in cases for what in case.seconds})
    counted = sorted({what for case in cases for what in case.rows})
    return [
        (first, f"{len(cases)}"),
        ("… of which", ", ".join(f"{what}: {count}" for what, count in sorted(happened.items()))),
        ("… exit code: how often", ", ".join(f"{code}: {count}" for code, count in sorted(codes.items()))),
        *((f"… {what}", _spread([case.seconds.get(what, np.nan) for case in cases], "s")) for what in timed),
        *((f"… rows {what}", f"{sum(case.rows.get(what, 0) for case in cases)}") for what in counted),
        ("… in which anything did not hold", f"{sum(bool(case.problems) for case in cases)}"),
    ]


def _cuts(cuts: Sequence[Cut]) -> list[tuple[str, str]]:
    if not cuts:
        return []
    return [
        ("power cuts that lose unsynced sectors at random", f"{len(cuts)}"),
        ("… rows promised / rows found", f"{sum(cut.promised for cut in cuts)} / {sum(cut.found for cut in cuts)}"),
        ("… recovery took", _spread([cut.seconds for cut in cuts], "s")),
        ("… in which anything did not hold", f"{sum(bool(cut.problems) for cut in cuts)}"),
    ]


def _blocks(blocks: Sequence[Block]) -> list[tuple[str, str]]:
    if not blocks:
        return []
    first, last = blocks[0], blocks[-1]
    return [
        (f"one run of {last.rows} rows over ten hours of the experiment's time, on the twin", "complete"),
        ("… median time per row, first and last block", f"{first.microseconds:.1f} µs, {last.microseconds:.1f} µs"),
        ("… memory at the end of the first and of the last block", f"{_mib(first)}, {_mib(last)}"),
    ]


def _mib(block: Block) -> str:
    return f"{block.memory / 2**20:.0f} MiB"


def _spread(values: Sequence[float], unit: str) -> str:
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "never needed"
    return f"median {np.median(known):.2f} {unit}, largest {max(known):.2f} {unit} ({len(known)} times)"
