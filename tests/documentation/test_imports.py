"""The examples of imports in docs/storage.md and of calibrations applied in docs/ledger.md do what they say."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import labnis as package
from tests.run.bench import ROOT, Commands

pytestmark = pytest.mark.documentation

BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "docs" / "storage.md").read_text(encoding="utf-8"), re.M | re.S)
FREQUENCY, QUALITY, COUPLING = np.linspace(4.99e9, 5.01e9, 301), 5000.0, 5000.0 / 0.6


def notch() -> np.ndarray[Any, Any]:
    """S21 past a hanger at 5 GHz."""
    noise = 1e-4 * np.random.default_rng(1).standard_normal((2, 301))
    s21 = 1 - QUALITY / COUPLING / (1 + 2j * QUALITY * (FREQUENCY / 5e9 - 1))
    return np.asarray(0.1 * s21 + noise[0] + 1j * noise[1])


def assert_coupling(run: package.experiment.run.Run) -> None:
    rate = run.results["damping_line"]
    assert abs(rate.value - 2 * np.pi * 5e9 / COUPLING) < 4 * rate.sigma < 0.1 * rate.value
    assert "port" in run.fits["resonance"].assumed
    assert run.data["s11"].attrs["long_name"] == "S21", "what figures say"


def test_a_notch_by_a_command(labnis: Commands, tmp_path: Path) -> None:
    (command,) = [line for _, text in BLOCKS for line in text.splitlines() if "notch.csv" in line]
    s21 = notch()
    rows = "".join(
        f"{f / 1e9:.12g},{20 * np.log10(abs(s)):.9f},{np.degrees(np.angle(s)):.9f}\n"
        for f, s in zip(FREQUENCY, s21, strict=True)
    )
    (tmp_path / "notch.csv").write_text(f"f,magnitude,phase\n{rows}", encoding="utf-8")
    answer = labnis(f"{shlex.join(shlex.split(command)[1:])} --json")
    assert answer.code == 0, answer.err
    assert_coupling(package.open_run(json.loads(answer.out)["runs"][0]))


def test_a_notch_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = [text for language, text in BLOCKS if language == "python" and "hanger" in text]
    s21 = notch()
    names: dict[str, Any] = {
        "frequency": FREQUENCY,
        "magnitude": 20 * np.log10(np.abs(s21)),
        "phase": np.degrees(np.angle(s21)),
    }
    monkeypatch.chdir(tmp_path)
    exec(program, names)  # noqa: S102  # as the page says it
    assert_coupling(names["run"])
