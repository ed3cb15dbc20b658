"""The display of a run in a terminal of 80 columns, as it is on the screen after every write."""

import io
from pathlib import Path

import pyte
import pytest
from rich.console import Console

from labnis.fit import Estimate
from labnis.ui.estimates import estimate_table
from labnis.ui.terminal import TerminalDisplay
from procedures import IVSweep
from tests.run.bench import dry_session
from tests.run.test_live_fit import Patient

RESULTS = {
    "lowest_electron_temperature": Estimate(79.32e-3, 0.12e-3, "K", 0.06e-3),
    "resonance_frequency": Estimate(4.6700026e9, 2.74e3, "Hz", 2.7e3),
    "damping_line": Estimate(16.09e6, 0.16e6, "1/s", 0.15e6),
}


class Screen(io.StringIO):
    """A stream that is a terminal; `screens` has the lines on it after each write."""

    def __init__(self, columns: int, lines: int = 40) -> None:
        super().__init__()
        self._screen = pyte.Screen(columns, lines)
        self._screen.set_mode(pyte.modes.LNM)  # a line feed begins a new line
        self._stream = pyte.Stream(self._screen)
        self.screens: list[list[str]] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._stream.feed(text)
        self.screens.append([line.rstrip() for line in self._screen.display if line.strip()])
        return len(text)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    return Screen(100)


def test_progress_and_estimates_stay_on_the_screen_without_flicker(terminal: Screen, tmp_path: Path) -> None:
    console = Console(file=terminal, width=80, force_terminal=True)
    sweep = IVSweep()
    sweep.points = 61
    patient = Patient(stops={45: 1, 61: 2})
    with dry_session(tmp_path, TerminalDisplay(console, simulated=True), patient) as session:
        run = session.run(sweep)

    def bar(screen: list[str]) -> str:
        return next((line for line in screen if line.startswith("SIMULATED IVSweep ") and "/61" in line), "")

    begun = next(number for number, screen in enumerate(terminal.screens) if bar(screen))
    ended = max(number for number, screen in enumerate(terminal.screens) if bar(screen))
    # In each of these the bar is whole: what a write takes away it draws again.
    assert all(bar(screen) for screen in terminal.screens[begun : ended + 1])
    estimated = [screen for screen in terminal.screens if any("± noise alone" in line for line in screen)]
    assert estimated, "no estimate is shown before the end"
    for name in run.results:
        assert any(name.replace("_", " ") in line and " ± " in line for line in estimated[-1]), estimated[-1]
    assert any("fitting" in bar(screen) for screen in terminal.screens)
    # At the end the results are there, and nothing of the display.
    last = "\n".join(terminal.screens[-1])
    assert "61/61" not in last and "noise alone" not in last


@pytest.mark.parametrize("width", [72, 80, 100])
def test_values_of_a_table_are_not_folded_in_a_narrow_terminal(width: int, terminal: Screen) -> None:
    console = Console(file=terminal, width=width, force_terminal=True)
    truth = {name: one.value for name, one in RESULTS.items()}
    console.print(estimate_table(RESULTS, truth=truth, doubtful=["damping_line"], width=width))
    shown = terminal.screens[-1]
    assert max(map(len, shown)) <= width
    for value in ("79.32 ± 0.12 mK", "4.6700026 ± 0.0000027 GHz", "16.09 ± 0.16 1/µs"):
        assert sum(value in line for line in shown) == 1, shown
    assert any("damping line ?" in line for line in shown)


def test_both_parts_of_sigma_are_shown_where_there_is_room(terminal: Screen) -> None:
    for width in (80, 60):
        Console(file=terminal, width=width, force_terminal=True).print(estimate_table(RESULTS, width=width))
    wide, narrow = "\n".join(terminal.screens[-2]), "\n".join(terminal.screens[-1][-8:])
    assert "2.7 kHz" in wide and "systematic" in wide
    assert "2.7 kHz" not in narrow and "systematic" not in narrow and "4.6700026 ± 0.0000027 GHz" in narrow
