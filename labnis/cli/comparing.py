"""The command that compares runs: what was set otherwise, and how far their results are apart."""

from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table
from uncertainties import UFloat  # type: ignore[import-untyped]

from labnis.cli.ledger import shown_error
from labnis.cli.options import (
    STATION,
    DataOption,
    JsonOption,
    StationOption,
    StyleOption,
    check_figure,
    folder_of,
    path_of,
)
from labnis.errors import RequestError
from labnis.experiment.run import Run, device_of, stored_run
from labnis.fit import Estimate
from labnis.fit.unstated import missing_in_sigma
from labnis.ledger import normalized
from labnis.ledger.of_station import doubts_by_fit
from labnis.storage import find_run
from labnis.ui.output import cells, doubts_in_words, encodable, print_table, say, say_json

__all__ = ["compare"]

# What of a run's metadata may differ for a reason that a user knows.
_SETTINGS = ("procedure", "parameters", "wiring", "instruments", "cooldown", "simulated", "seed", "git_commit")


class _Difference(NamedTuple):
    """Of a result: the runs, the second less the first with both parts of its σ shared, and E_n."""

    result: str
    first: str
    second: str
    difference: float
    sigma: float
    unit: str
    error: float


def compare(
    runs: Annotated[list[str], typer.Argument(help="Path, id or beginning of an id of each run, at least two.")],
    station: StationOption = STATION,
    data: DataOption = None,
    figure: Annotated[
        Path | None,
        typer.Option("--figure", parser=path_of, metavar="FILE", help="Draw their curves together: PNG, PDF or SVG."),
    ] = None,
    style: StyleOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare runs: settings that differ, and how far their results are apart.

    E_n is the difference over its expanded uncertainty (k = 2), in which sources that both have in common cancel;
    beyond 1 the results contradict each other.
    """
    folder = folder_of(station, data, runs)
    found = [stored_run(find_run(folder, text)) for text in runs]
    if len({run.run_id for run in found}) < 2:
        raise RequestError("name at least two runs to compare")
    if style is not None and figure is None:
        raise RequestError("--style is that of the figure: give --figure FILE, too")
    doubts = {run.run_id: doubts_by_fit(station, data, run.path, run.warnings) for run in found}
    if figure is not None:
        _draw([run.doubted(doubts[run.run_id]) for run in found], figure, style)
    notes = [*_notes(found), *(f"{run}: {text}" for run, texts in doubts.items() for text in doubts_in_words(texts))]
    settings, apart = _differing(found), [one for pair in combinations(found, 2) for one in _differences(*pair)]
    if as_json:
        by_run = {
            run.run_id: {name: values[number] for name, values in settings.items()} for number, run in enumerate(found)
        }
        say_json({"settings": by_run, "differences": [one._asdict() for one in apart], "notes": notes})
        return
    table = Table("set otherwise", *(run.run_id for run in found))
    for name, values in settings.items():
        table.add_row(*cells([name, *("" if value is None else value for value in values)]))
    if settings:
        print_table(table)
    _print_results(found, apart, {run for run, texts in doubts.items() if texts})
    for note in notes:
        say(note)


def _draw(runs: Sequence[Run], figure: Path, style: Path | None) -> None:
    from labnis.ui.compared_curves import draw_compared  # noqa: PLC0415  # matplotlib is imported only to draw

    check_figure(figure)
    try:
        draw_compared(runs, figure, style)
    except OSError as error:
        raise RequestError(f"--figure {figure}: cannot be written: {error.strerror or error}") from error


def _print_results(found: Sequence[Run], apart: Sequence[_Difference], doubted: Container[str]) -> None:
    names = list(dict.fromkeys(name for run in found for name in run.results))
    table = Table("result", *(run.run_id for run in found))
    for name in names:
        shown = [
            f"{run.results[name]}{' ?' * (name in run.doubtful or run.run_id in doubted)}"
            if name in run.results
            else ""
            for run in found
        ]
        table.add_row(*cells([name, *map(encodable, shown)]))
    print_table(table)
    if not apart:
        say("no result of two of them can be compared")
        return
    table = Table("difference", "of", encodable("value ± σ"), "E_n")
    for one in apart:
        told = shown_error(one.error)
        difference = Estimate(one.difference, one.sigma, one.unit)
        table.add_row(*cells([one.result, f"{one.second} - {one.first}", difference, told]))
    print_table(table)


def _differing(found: Sequence[Run]) -> dict[str, list[Any]]:
    """Settings that are not the same in all runs, by dotted name; None where a run has none of that name."""
    flat = [dict(_flat(_settings(run.metadata))) for run in found]
    names = dict.fromkeys(name for one in flat for name in one)
    values = {name: [one.get(name) for one in flat] for name in names}
    return {name: every for name, every in values.items() if any(value != every[0] for value in every)}


def _settings(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What may differ, with the instruments of the run alone; files of earlier versions have all that were open."""
    instruments = metadata["instruments"]
    used = metadata["context"].get("instruments")
    if not isinstance(used, list):
        used = [*instruments]
    found = {"device": device_of(metadata)} | {name: metadata.get(name) for name in _SETTINGS}
    return found | {"instruments": {name: facts for name, facts in instruments.items() if name in used}}


def _notes(found: Sequence[Run]) -> list[str]:
    """What is not in σ; pairs of runs whose simulated instruments are others, in spite of their serial numbers."""
    missing = [f"{run.run_id}: {text}" for run in found for fit in run.fits.values() for text in missing_in_sigma(fit)]
    errors = [(run.run_id, run.metadata["context"].get("instrument_errors", {})) for run in found]
    others = [
        f"{one} and {other}: their simulated instruments are others (drawn by other seeds), so that no error of them "
        "cancels in the differences"
        for (one, first), (other, second) in combinations(errors, 2)
        if any(first[uid] != second[uid] for uid in first.keys() & second.keys())
    ]
    return [*missing, *others]


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _differences(first: Run, second: Run) -> Iterator[_Difference]:
    """Of every result that both have, and neither as a limit."""
    for name in [name for name in first.results if name in second.results]:
        one, other = (_number(run, name) for run in (first, second))
        if one is None or other is None:
            continue
        change = other - one
        value, sigma = float(change.nominal_value), float(change.std_dev)
        unit, error = first.results[name].unit, normalized(value, sigma)
        yield _Difference(name, first.run_id, second.run_id, value, sigma, unit, error)


def _number(run: Run, name: str) -> UFloat | None:
    """A result with its correlations; None if it is a limit."""
    fit = run.fit_of(name)
    parameter = name.rpartition(".")[2]
    return None if parameter in fit.limits else fit.as_uncertainties()[parameter]
