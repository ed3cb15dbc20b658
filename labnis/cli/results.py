"""Results of runs at the end of a command: printed, and its exit code."""

import sys
from collections.abc import Mapping, Sequence

from labnis.errors import DataQualityError
from labnis.experiment.run import Run
from labnis.ui.estimates import estimate_table
from labnis.ui.output import print_table, say, say_json, width_of

__all__ = ["print_results", "refuse_doubtful"]


def refuse_doubtful(runs: Sequence[Run]) -> None:
    """End with the exit code of doubtful data where a fit failed or has warnings, which each run showed as it ended."""
    if unfitted := dict.fromkeys(name for one in runs for name in one.problems):
        raise DataQualityError(f"the data are saved, but there is no fit by {', '.join(unfitted)}; the reason is above")
    doubtful = dict.fromkeys(name for one in runs for name in one.results if name in one.doubtful)
    if doubtful:
        raise DataQualityError(f"the data are saved, but results are in doubt: {', '.join(doubtful)}; see the warnings")


def print_results(runs: Sequence[Run], truth: Mapping[str, float] | None, *, simulated: bool, as_json: bool) -> None:
    """Print the results of `runs` as a table or JSON, with the true values of simulated ones, and their files."""
    fits = {name: one.fit_of(name) for one in runs for name in one.results}
    results = {name: estimate for one in runs for name, estimate in one.results.items()}
    if as_json:
        known = truth or {}
        answer = {
            "simulated": simulated,
            "runs": [str(one.path) for one in runs],
            "goals": [goal for one in runs for goal in one.goals],
            "notes": [note for one in runs for note in one.notes],
            "results": {
                name: estimate.as_record()
                | ({"truth": known[name]} if name in known else {})
                | {"warnings": fits[name].warnings, "notes": fits[name].notes}
                for name, estimate in results.items()
            },
        }
        say_json(answer)
        return
    if results:
        title = "Results of a SIMULATED measurement" if simulated else "Results"
        doubtful = [name for name, fit in fits.items() if fit.warnings]
        width = width_of(sys.stdout)
        print_table(estimate_table(results, truth=truth, doubtful=doubtful, title=title, width=width))
    for one in runs:
        say(one.path)
