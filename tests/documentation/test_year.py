"""The questions and answers of docs/ledger.md, of a year at the twin."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.constants import k

import labnis as package
from tests.documentation.year import DRIFT, GAIN, JUMPS, Year
from tests.run.bench import Commands

TEXT = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (.+?) \| `labnis (.+?)` \| (.+) \|$", TEXT.partition("## A year")[2].partition("\n## ")[0], re.M
)


@pytest.mark.documentation
@pytest.mark.timeout(900)
def test_a_year_answers_its_questions(labnis: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    year = Year(tmp_path, labnis)
    year.run()
    gains = {when: found["results"]["gain"] for when, found in year.answers.items() if "gain" in found["results"]}
    for (cooldown, _), gain in gains.items():
        assert abs(gain["value"] - gain["truth"]) < 4 * gain["sigma"], cooldown
        assert gain["warnings"] == [], cooldown
    # What is told at once: every jump, and hardly anything else.
    told = {when: [n for n in found["notes"] if n.startswith("gain differs")] for when, found in year.answers.items()}
    assert {f"CD{month:02}" for month in (*JUMPS, 10)} <= {cooldown for (cooldown, _), notes in told.items() if notes}
    assert sum(map(bool, told.values())) < 8
    # The device at the wrong position of the switch is noticed, and no prior.
    assert [when for when, code in year.codes.items() if code] == [("CD07", 18)]
    assert "is it the same device?" in year.answers["CD07", 18]["results"]["damping_line"]["warnings"][0]
    assert any("does not use the reflection fit" in note for note in year.answers["CD07", 20]["notes"])

    (spectra,) = year.answers["CD05", 20]["runs"]
    assert len(ROWS) >= 8, "the table of the document"
    for question, command, answer in ROWS:
        found = labnis(command.replace("RUN", spectra))
        assert found.code in (0, 7), (question, found.err)
        said = re.sub(r"\s+", " ", found.out + found.err)
        for part in re.findall("`(.+?)`", answer):
            assert part in said, (question, part, found.out, found.err)

    applied = json.loads(labnis(f"apply gain {spectra} --station B2.yaml --json").out)["columns"]
    run = package.open_run(spectra)
    # What the analyzer reads too much cancels in the calibration.
    errors = run.metadata["context"]["instrument_errors"]
    (amplitude,) = [error for source, error in errors.items() if source.endswith("//amplitude")]
    measured = run.data
    true = measured["spectrum"] / 10 ** ((GAIN + 2 * DRIFT + amplitude) / 10) - k * 8.3
    power = np.trapezoid(true, measured["frequency"], axis=-1)
    sigma = np.hypot(applied["power_statistical"], applied["power_systematic"])
    assert np.abs((applied["power"] - power) / sigma).max() < 4
