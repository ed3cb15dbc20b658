"""Report of runs: one page without anything from elsewhere, for a colleague."""

import base64
import io
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pymeasure.experiment import Procedure

from labnis import __version__
from labnis.errors import RequestError
from labnis.experiment.analysis import load_class
from labnis.experiment.parameter_list import described
from labnis.experiment.run import Run, device_of
from labnis.fit import Estimate, FitContext, number_text
from labnis.storage import ESTIMATE, Event, read_events
from labnis.ui.budget_rows import budgeted
from labnis.ui.figures import figure_of
from labnis.ui.output import listed

__all__ = ["browser", "report_page", "write_pdf"]

# Programs that print a page into a PDF without a screen.
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# Seconds that one may take.
_PATIENCE = 120
_TRUTH = "truth.yaml"


def report_page(runs: Sequence[Run], title: str, units: Mapping[str, str]) -> str:
    """The report as HTML: nothing in it is loaded from elsewhere, and nothing of the runs is taken for markup.

    Parameters
    ----------
    runs
        In their order on the page, with what the ledger says against them (`Run.doubted`).
    title
        Its heading.
    units
        Parameter of the wiring → unit.

    """
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return templates.get_template("report.html").render(
        title=title,
        written=f"{datetime.now().astimezone():%Y-%m-%d %H:%M}",
        version=__version__,
        runs=[_of_run(run, units) for run in runs],
    )


def _of_run(run: Run, units: Mapping[str, str]) -> dict[str, Any]:
    known, budgets = run.metadata, budgeted(run)
    fits = [
        {
            "model": f"{name}, {fit.model}",
            "warnings": fit.warnings,
            "notes": fit.notes,
            "assumed": [*fit.assumed.items()],
            "budget": budgets.get(name),
            "parameters": [(one, str(fit[one])) for one in fit.names],
            "noise": f"χ²/ν {fit.chi2 / fit.degrees_of_freedom:.4g}" if fit.degrees_of_freedom else "",
        }
        for name, fit in run.fits.items()
    ]
    dirty = ", with changes that were not committed" if known.get("git_dirty") else ""
    return {
        "id": run.run_id,
        "procedure": run.procedure,
        "simulated": known["simulated"],
        "device": device_of(known),
        "cooldown": known["cooldown"],
        "start": f"{known['start'].astimezone():%Y-%m-%d %H:%M %Z}",
        "duration": number_text(known["duration"], "s") if known.get("duration") else "",
        "rows": run.rows,
        "status": run.status,
        "reason": known.get("reason", ""),
        "note": known.get("note", ""),
        "tags": " ".join(known.get("tags", ())),
        "problems": [f"{name}: {text}" for name, text in run.problems.items()],
        "results": [_row(name, one, name in run.doubtful) for name, one in run.results.items()],
        "figure": _figure(run),
        "fits": fits,
        "events": [_event(one) for one in read_events(run.path) if one.kind != ESTIMATE],
        "settings": [
            ("parameters", listed(known["parameters"], _parameter_units(known["procedure_class"]))),
            ("wiring", listed(known["wiring"], units)),
            *((name, " ".join(map(str, facts.values()))) for name, facts in known["instruments"].items()),
        ],
        "station": known.get("station_text", ""),
        "code": f"labnis {known.get('packages', {}).get('labnis', '')} ({known['git_commit']}{dirty})",
        "python": known["python"],
        "commands": [*_commands(run)],
        "remarks": [*_remarks(run)],
        "truth": known.get("truth_text") or "",
    }


def _parameter_units(procedure: str) -> Mapping[str, str]:
    """Parameter → unit of the class at the dotted path `procedure`; empty where its package is not here."""
    try:
        kind = load_class(procedure, "procedure", in_file=True)
    except RequestError:
        return {}
    return {one.name: one.unit for one in described(kind).parameters} if issubclass(kind, Procedure) else {}


def _row(name: str, one: Estimate, doubtful: bool) -> dict[str, Any]:
    stated = one.limit is None and one.systematic is not None
    parts = (one.statistical, one.systematic or 0.0) if stated else ()
    noise, systematic = [number_text(part, one.unit) for part in parts] or ("", "")
    words = name.replace("_", " ") + " ?" * doubtful
    return {"name": words, "value": str(one), "noise": noise, "systematic": systematic, "doubtful": doubtful}


def _figure(run: Run) -> str:
    """SVG in base64; empty for a run without rows."""
    if not run.rows:
        return ""
    file = io.BytesIO()
    figure_of([run]).savefig(file, format="svg")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _event(one: Event) -> str:
    times = f" ({one.count} times)" if one.count > 1 else ""
    return f"{one.time.astimezone():%Y-%m-%d %H:%M:%S}, {one.kind}: {one.message}{times}"


def _commands(run: Run) -> Iterator[str]:
    """Commands that fit the run again, and that measure the same again."""
    known = run.metadata
    yield shlex.join(["labnis", "refit", run.run_id])
    if not known["procedure_class"].startswith("procedures.") or not known["parameters"]:
        return
    context = FitContext.from_json(known["context"].get("fit", "{}"))
    words = ["--dry-run", f"--seed={known['seed']}", f"--twin={_TRUTH}"] if known["simulated"] else []
    words += [f"--set={name}={value}" for name, value in known["parameters"].items() if value not in ("", [])]
    words += [f"--until={goal}" for goal in known["context"].get("until", ())]
    words += [f"--fix={name}={value!r}" for name, value in context.fixed.items()]
    words += [f"--prior={name}={value!r}+-{sigma!r}" for name, (value, sigma) in context.given.items()]
    words += [f"--from={run_id}" for run_id in dict.fromkeys(one["run_id"] for one in known["calibrations"])]
    yield shlex.join(["labnis", "run", known["procedure"], *words])


def _remarks(run: Run) -> Iterator[str]:
    """What the commands need."""
    yield (
        "These are for the folder with the station file above and the run's data. "
        f'Without them, in Python: labnis.refit("{run.path.name}").'
    )
    if run.metadata["simulated"]:
        yield (
            f"{_TRUTH} is below. The noise is the same where the run was the first one of its command; of a later step "
            "of `calibrate` or of a queue it comes again with the whole command only."
        )


def browser() -> str:
    """Path of a browser that prints without a screen; empty without one."""
    return next((path for name in _BROWSERS if (path := shutil.which(name))), "")


def write_pdf(page: str, file: Path, program: str) -> None:
    """Print a `page` into a PDF `file` by the browser `program`; RequestError if it does not."""
    with TemporaryDirectory(prefix="labnis-report-") as folder:
        source, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        source.write_text(page.replace("<details>", "<details open>"), encoding="utf-8")  # paper has no clicks
        command = [program, "--headless", "--disable-gpu", "--no-sandbox", f"--user-data-dir={folder}/profile"]
        command += ["--no-pdf-header-footer", f"--print-to-pdf={made}", source.as_uri()]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise RequestError(f"--out {file}: {program} has printed nothing in {_PATIENCE} s; write .html") from error
        if done.returncode or not made.is_file():
            said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise RequestError(f"--out {file}: {program} prints no PDF: {said[0]}; write .html")
        shutil.move(made, file)
