"""`python -m tests.long`: calibrate many random devices, and write how often the truth is within σ."""

import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from labnis import __version__
from tests.long.calibrating import Calibration, Difference, Job, calibrate_all, differences_of
from tests.long.truths import heated_truth, random_truth
from tests.run.bench import RESULTS

HEADING = "## The last campaign"
"""Everything below it in docs/calibration.md is written by `make coverage`."""

# Asked for, and how far 500 calibrations may be off by chance: 1σ in 68 ± 5 %, 2σ in 95 ± 3 %.
WITHIN_ONE, WITHIN_TWO, RMS = (0.63, 0.73), (0.92, 0.98), (0.75, 1.15)
MEANT_FOR = 475  # of 500 that are not in doubt
MOST_DOUBTED, LEAST_LIMITS = 0.05, 0.92
# The largest cooling power is not normal: it is positive, and often known to a factor.
NOT_NORMAL = ("maximum_cooling_power",)
# Without what is stated of the instruments errors are so many σ at least (RMS), but for what noise limits.
NOISE_ALONE = 3.0
OF_NOISE = ("electron_temperature", "lowest_electron_temperature", "damping_junction", *NOT_NORMAL)

Real = NDArray[np.float64]
Section = tuple[list[str], bool]


def main(
    count: Annotated[int, typer.Option(help="Devices that heat; a fifth as many that do not, and as pairs.")] = 500,
    write: Annotated[Path | None, typer.Option(help="Document whose tables are replaced.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Folder that keeps answers: an interrupted campaign of the same code goes on.")
    ] = None,
) -> None:
    """Calibrate random devices; exit code 1 if σ is not what it says."""
    began = time.monotonic()
    parts: list[Callable[[int, Path], Section]] = [_heated, _ideal, _pairs]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = os.environ["USERPROFILE"] = folder  # QCoDeS writes there
        sections = [
            part(count if part is _heated else max(count // 5, 2), (answers or Path(folder)) / part.__name__)
            for part in parts
        ]
    minutes = (time.monotonic() - began) / 60
    lines = [
        HEADING,
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, labnis {__version__}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {minutes:.0f} minutes: dry runs of `labnis calibrate`.",
    ]
    for section, _ in sections:
        lines += ["", *section]
    text = "\n".join(lines) + "\n"
    if write is not None:
        kept = write.read_text(encoding="utf-8").partition(HEADING)[0]
        write.write_text(kept + text, encoding="utf-8")
    sys.stdout.write(text)
    raise typer.Exit(0 if all(holds for _, holds in sections) else 1)


def _heated(count: int, folder: Path) -> Section:
    found = calibrate_all([Job(heated_truth(number), 5000 + number) for number in range(count)], folder)
    done = [one for one in found if not one.problem]
    certain = [one for one in done if not one.doubts]
    lines = [
        f"{count} devices whose islands heat and cool themselves, with instruments that err. The errors of "
        f"{len(certain)} calibrations without doubts, in units of σ; the last column is in units of the noise alone:",
        "",
    ]
    table, holds = _table(certain, noise=True)
    lines += [*table, ""]
    limits = [
        one.results["electron_temperature"] for one in certain if one.results["electron_temperature"]["value"] is None
    ]
    kept = sum(one["limit"] >= one["truth"] for one in limits)
    if limits:
        lines.append(
            f"Of {len(limits)} of them the electron temperature is an upper limit (95 %); {kept} "
            f"({kept / len(limits):.1%}) are above the truth."
        )
    doubted = len(done) - len(certain)
    reasons = Counter(_reason(text) for one in done for text in one.doubts if not text.startswith("it uses "))
    lines.append(f"In doubt are {doubted} ({doubted / count:.1%}); without results {len(found) - len(done)}.")
    lines += [f"- {number} times: {reason}" for reason, number in reasons.most_common()]
    holds &= doubted <= MOST_DOUBTED * count and len(done) == len(found)
    holds &= not limits or kept >= LEAST_LIMITS * len(limits)
    return lines, holds


def _ideal(count: int, folder: Path) -> Section:
    ideal = [random_truth(number) | {"instrument_errors": "none"} for number in range(count)]
    found = calibrate_all([Job(truth, 1000 + number) for number, truth in enumerate(ideal)], folder)
    if problems := [one.problem for one in found if one.problem]:
        return problems, False
    certain = [one for one in found if not one.doubts]
    table, holds = _table(certain, noise=False)
    text = (
        f"{count} devices of one temperature at every bias, with instruments that do not err, of which "
        f"{count - len(certain)} are in doubt:"
    )
    return [text, "", *table], holds and count - len(certain) <= MOST_DOUBTED * count


def _pairs(count: int, folder: Path) -> Section:
    """Two devices each, on one set of instruments."""

    def job(number: int, seed: int) -> Job:
        return Job(heated_truth(10_000 + number) | {"instrument_seed": seed}, 20_000 + number)

    pairs = [(job(2 * pair, pair), job(2 * pair + 1, pair)) for pair in range(count)]
    found = differences_of(pairs, folder)
    lines = [
        f"{count} pairs of devices, measured with the same instruments: errors of the differences of a result, in "
        "units of their σ with the common sources counted once, as if there were none in common, and of noise alone:",
        "",
        "| result | pairs | within 1σ | RMS | RMS, none in common | RMS, noise alone |",
        "|-|-|-|-|-|-|",
    ]
    lines += [_pair_row(name, [one[name] for one in found if name in one]) for name in RESULTS]
    limited = [one[name] for one in found for name in one if name not in OF_NOISE]
    inside = float(np.mean([abs(one.deviation) < one.shared for one in limited]))
    shared, apart, noise = (
        _rms(np.array([one.deviation / getattr(one, kind) for one in limited])) for kind in ("shared", "apart", "noise")
    )
    holds = WITHIN_ONE[0] <= inside <= WITHIN_ONE[1] and RMS[0] <= shared <= RMS[1]
    lines += ["", f"Of all but {', '.join(OF_NOISE).replace('_', ' ')} {inside:.1%} are within 1σ."]
    return lines, holds and apart < shared and noise > NOISE_ALONE


def _pair_row(name: str, differences: Sequence[Difference]) -> str:
    def rms(kind: str) -> float:
        return _rms(np.array([one.deviation / getattr(one, kind) for one in differences]))

    one = np.mean([abs(each.deviation) < each.shared for each in differences])
    return (
        f"| {name.replace('_', ' ')} | {len(differences)} | {one:.1%} | {rms('shared'):.2f} | {rms('apart'):.2f} | "
        f"{rms('noise'):.1f} |"
    )


def _table(found: Sequence[Calibration], *, noise: bool) -> Section:
    """Markdown of the errors of each result, and whether all is as it should be."""
    lines = [
        f"| result | devices | within 1σ | within 2σ | RMS | largest |{' RMS, noise alone |' if noise else ''}",
        "|-|-|-|-|-|-|" + ("-|" if noise else ""),
    ]
    holds = True
    # Fewer devices than those for which the limits are meant are farther off by chance, as the root of their number.
    wider = 0.05 * (max(1.0, np.sqrt(MEANT_FOR / max(len(found), 1))) - 1)
    for name in RESULTS:
        values = _known([one.pull(name) for one in found])
        one, two = (float(np.mean(np.abs(values) < sigmas)) for sigmas in (1, 2))
        good = WITHIN_ONE[0] - wider <= one <= WITHIN_ONE[1] + wider
        good &= WITHIN_TWO[0] - 0.6 * wider <= two <= WITHIN_TWO[1] + 0.6 * wider
        good &= RMS[0] <= _rms(values) <= RMS[1]
        good |= name in NOT_NORMAL
        row = f"| {name.replace('_', ' ')} | {values.size} | {one:.1%} | {two:.1%} | {_rms(values):.2f} | "
        row += f"{np.abs(values).max():.1f}σ |"
        if noise:
            alone = _rms(_known([each.pull(name, "statistical") for each in found]))
            good &= alone > NOISE_ALONE or name in OF_NOISE
            row += f" {alone:.1f} |"
        holds &= good
        lines.append(row if good else row.removesuffix(" |") + " ← not as it should be |")
    return lines, holds


def _known(values: Sequence[float]) -> Real:
    numbers = np.array(values)
    return np.asarray(numbers[np.isfinite(numbers)])


def _rms(values: Real) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _reason(text: str) -> str:
    """A warning without its numbers."""
    return " ".join("…" if any(c.isdigit() for c in word) else word for word in text.split())


if __name__ == "__main__":
    typer.run(main)
