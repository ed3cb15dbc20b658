"""A year at the twin: three devices, twelve cooldowns, a drift, two jumps, a wrong switch and a bad cable."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import time_machine

from tests.run.bench import BUDGETED_TEXT, TRUTH_TEXT, Answer, changed

__all__ = ["DRIFT", "GAIN", "JUMPS", "Year"]

DEVICES = {"A7": ("12.0e3", "1.6e+7"), "B2": ("9.0e3", "2.1e+7"), "C3": ("15.0e3", "1.3e+7")}
"""Device → resistance of a junction (ohm) and damping rate by the line (1/s)."""
GAIN, DRIFT = 51.84, -0.01
"""Of the chain at the beginning of each cooldown (dB), and per week."""
JUMPS = {4: 2.0, 9: -0.8}
"""Month → by how much the gain jumps (dB) in the middle of its cooldown."""
SWITCHED, BAD, BAD_CABLE = 7, 10, -3.0
"""Months of the switch at the wrong device and of the bad cable, and what that takes away (dB)."""
FEW = (
    "--set IVSweep.points=61 --set ReflectionVsBias.points=15 --set ReflectionVsBias.frequencies=101 "
    "--set EmittedPowerVsBias.points=11 --set EmittedPowerVsBias.frequencies=201"
)


@dataclass
class Year:
    """The year in a `folder`, by commands of `labnis`; `answers` by cooldown and day."""

    folder: Path
    labnis: Callable[[str], Answer]

    def __post_init__(self) -> None:
        self.answers: dict[tuple[str, int], Any] = {}
        self.codes: dict[tuple[str, int], int] = {}

    def run(self) -> None:
        """Measure it."""
        for month in range(1, 13):
            device = [*DEVICES][(month - 1) % 3]
            self._station(device, device, 0.0)
            self._at(month, 3, f"cooldown start CD{month:02} --station {device}.yaml")
            for day, gain in self._days(month):
                seen = "B2" if (month, day) == (SWITCHED, 18) else device
                self._station(device, seen, gain)
                command = f"calibrate {FEW}"
                if seen != device:
                    command = "run ReflectionVsBias --set points=15 --set frequencies=101"
                answer = self._at(month, day, f"{command} --dry-run --seed {31 * month + day} --json", device)
                self.answers[f"CD{month:02}", day] = json.loads(answer.out)
                self.codes[f"CD{month:02}", day] = answer.code
            if month in (5, SWITCHED):
                self._station(device, device, 2 * DRIFT)
                command = f"run EmittedPowerVsBias --set points=5 --dry-run --seed {month} --json"
                answer = self._at(month, 20, command, device)
                self.answers[f"CD{month:02}", 20] = json.loads(answer.out)
                self.codes[f"CD{month:02}", 20] = answer.code
            self._at(month, 25, f"cooldown end --station {device}.yaml")

    def _days(self, month: int) -> Iterator[tuple[int, float]]:
        """Days of calibrations, and the gain (dB) then, less that at the beginning."""
        yield 4, BAD_CABLE if month == BAD else 0.0
        yield 18, 2 * DRIFT + JUMPS.get(month, 0.0)

    def _at(self, month: int, day: int, command: str, device: str = "") -> Answer:
        with time_machine.travel(datetime(2025, month, day, 9, 30).astimezone(), tick=True):
            return self.labnis(f"{command} --station {device}.yaml" if device else command)

    def _station(self, device: str, seen: str, gain: float) -> None:
        """Station and truth file of a `device`, where the fridge's switch is at the one that is `seen`."""
        resistance, line = DEVICES[seen]
        truth = changed(TRUTH_TEXT, "resistance: 12.0e3", f"resistance: {resistance}")
        truth = changed(truth, "damping_line: 1.6e+7", f"damping_line: {line}")
        truth = changed(truth, "gain_db: 51.84", f"gain_db: {GAIN + gain:.4f}")
        truth = changed(truth, "instrument_errors: none", "instrument_errors: stated\ninstrument_seed: 5")
        truth = changed(truth, "fano_real_sigma: 0.02", "fano_real_sigma: 0.0")
        name = f"truth_of_{seen}_{gain:+.2f}.yaml"  # a process reads each file once
        (self.folder / name).write_text(truth, encoding="utf-8")
        text = BUDGETED_TEXT.replace("sim_instruments/nis_device.yaml", name)
        text, number = re.subn(r"name: nis_device", f"name: {device}", text.replace("2026-", "2024-"))
        assert number == 1
        (self.folder / f"{device}.yaml").write_text(text, encoding="utf-8")
