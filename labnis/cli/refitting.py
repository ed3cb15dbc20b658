"""The command that fits stored runs again."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
import xarray
from rich.progress import Progress
from rich.table import Table

from labnis.cli.options import STATION, DataOption, FixOption, JsonOption, PriorOption, StationOption, moment
from labnis.errors import DataQualityError, LabnisError, RequestError
from labnis.experiment.analysis import adjustable, analyses_of_run, declared_needs
from labnis.experiment.calibrations import Logbook, Prior, checked_priors, chosen_priors, records_of
from labnis.experiment.known_doubts import known_doubts
from labnis.experiment.known_values import known_from_texts
from labnis.experiment.refitting import Asked, Refitted, commit, kept_priors, local_processes, refit_all
from labnis.experiment.restated import restated, restated_from_texts
from labnis.experiment.run import device_of, of_device
from labnis.experiment.run_plan import code_version
from labnis.fit import FitContext
from labnis.ledger import Ledger, LedgerError, new_batch
from labnis.ledger.of_station import ledger_of
from labnis.station import load_station
from labnis.storage import (
    RunNotFoundError,
    RunSummary,
    StorageError,
    collect_environment,
    find_run,
    list_runs,
    newest_versions,
    read_fits,
    read_metadata,
    unreadable_runs,
)
from labnis.ui.estimates import estimate_table
from labnis.ui.output import cells, console_of, encodable, print_table, say, say_json, width_of

__all__ = ["refit"]

# Runs that are named with a warning which all of them have.
_NAMED = 5


def refit(  # noqa: PLR0913, PLR0917  # options
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...|COOLDOWN", help="Paths, ids or beginnings of ids; or a cooldown.")
    ],
    station: StationOption = STATION,
    data: DataOption = None,
    fix: FixOption = None,
    prior: PriorOption = None,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="State the line or the device otherwise, such as series_resistance=2.1kohm or junctions=1; may be "
            "given again.",
        ),
    ] = None,
    analysis: Annotated[str | None, typer.Option("--analysis", metavar="NAME", help="Only this analysis.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DATE", help="Only runs that began then or later.")
    ] = None,
    chosen: Annotated[
        list[str] | None,
        typer.Option(
            "--from", metavar="RUN", help="Run whose fits are the priors, in place of those used; may be given again."
        ),
    ] = None,
    commits: Annotated[
        bool, typer.Option("--commit", help="Keep the new fits beside the others, and enter them in the ledger.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS", help="Scheduler of dask.distributed."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit runs again, and print what moved by how many σ.

    Nothing is written without --commit. A run that used the fit of another one among them gets its new fit as a prior.
    Without --fix, --prior, --set and --from all is as it was when each run was measured, whatever its newest fit held.
    Doubts that no fit of its data can clear stay: it was revoked, needs what was, or seems to be of another device.
    """
    config = load_station(station)
    folder = data or config.data
    # Of files that are named there is nothing to look for.
    listed = list_runs(folder) if since is not None or not all(Path(name).is_file() for name in runs) else []
    of_runs = {
        path: analyses_of_run(read_metadata(path)) for path in _found(listed, folder, runs, since, config.device.name)
    }
    if analysis is not None:
        there = ", ".join(dict.fromkeys(one.name for every in of_runs.values() for one in every)) or "none"
        of_runs = {path: every for path, every in of_runs.items() if analysis in [one.name for one in every]}
        if not of_runs:
            raise RequestError(f"--analysis {analysis}: no such run has it; they have {there}")
    paths = list(of_runs)
    units = {name: unit for every in of_runs.values() for one in every for name, unit in adjustable(one).items()}
    known = known_from_texts(fix or (), prior or (), units)
    known.check(units)
    stated = restated_from_texts(sets or ())
    restated(
        xarray.Dataset(), FitContext.from_json(read_metadata(paths[0])["context"].get("fit", "{}")), stated
    )  # or refused
    version = code_version(collect_environment())
    asked = Asked(
        version, known.fixed if fix else None, known.given if prior else None, analysis, config.path, not commits,
        stated,
    )  # fmt: skip
    ledger = ledger_of(config, data)
    priors = {path: _chosen(path, [find_run(folder, text) for text in chosen or ()], ledger) for path in paths}
    ids = {read_metadata(path)["run_id"] for path in paths}
    doubts = {path: known_doubts(path, ledger, priors[path], ids) for path in paths}
    kept = _Kept(folder, ledger, version, new_batch(), priors) if commits else None
    with (
        ExitStack() as executors,
        Progress(console=console_of(sys.stderr), disable=len(paths) == 1) as progress,
    ):
        task = progress.add_task("runs", total=len(paths))

        # What cannot be read may be of this cooldown.
        damaged = [one for name in runs for one in unreadable_runs(listed, folder, name)]
        lost = {one.path.name: f"it cannot be read: {one.reason}" for one in damaged}

        def told(one: Refitted) -> None:
            progress.advance(task)
            try:
                if kept is not None:
                    kept.keep(one)
            except (LabnisError, LedgerError, StorageError) as error:  # the others are kept
                lost[one.run_id] = f"its fits are not kept: {error}"

        def executor() -> Executor:
            return executors.enter_context(_executor(len(paths), cluster))

        fits = {path: {name: one.fit for name, one in of.items() if one.fit is not None} for path, of in priors.items()}
        found = refit_all(paths, asked, executor(), told, executor, chosen=fits, doubts=doubts)
    for sentence in kept_priors(paths, folder):
        say(f"labnis: {sentence}", err=True)
    if as_json:
        every = [_record(one) for one in found]
        say_json(every[0] if len(every) == 1 else {"runs": every})
    elif len(found) == 1:
        _print_one(found[0])
    else:
        _print_moved(found)
    _end(found, lost)


def _found(
    listed: Sequence[RunSummary], folder: Path, runs: Sequence[str], since: str | None, device: str
) -> list[Path]:
    """Files of the named runs, or of those of the named cooldowns, that began `since`; `listed` are all."""
    summaries = {run.path.resolve(): run for run in listed}
    paths: dict[Path, None] = {}
    for name in runs:
        of_cooldown = of_device([path for path, run in summaries.items() if run.cooldown == name], name, device)
        paths |= dict.fromkeys(path.resolve() for path in of_cooldown or [_of_run(folder, name, listed)])
    if since is not None:
        begun = {path: summaries[path].start for path in paths if path in summaries}
        limit = moment(since)
        paths = {path: None for path in paths if (start := begun.get(path)) is not None and start >= limit}
    if not paths:
        raise RequestError(f"no run of {', '.join(runs)} began since {since}")
    return list(paths)


def _chosen(path: Path, runs: Sequence[Path], ledger: Ledger) -> dict[str, Prior]:
    """Analysis → its fit in the `runs`, of those that the fits of the run at `path` need."""
    if not runs:
        return {}
    metadata = read_metadata(path)
    needs = {need for analysis in analyses_of_run(metadata) for need in declared_needs(analysis)}
    found = chosen_priors(
        runs, metadata["cooldown"], device=device_of(metadata), wiring=metadata["wiring"],
        dry_run=metadata["simulated"], ledger=ledger,
    )  # fmt: skip
    checked = checked_priors(found, simulated=metadata["simulated"])
    return {name: prior for name, prior in checked.items() if name in needs}


def _of_run(folder: Path, name: str, listed: Sequence[RunSummary]) -> Path:
    try:
        return find_run(folder, name)
    except RunNotFoundError as error:
        cooldowns = ", ".join(sorted({run.cooldown for run in listed if run.cooldown})) or "none"
        raise RequestError(f"{error}; nor has a run this cooldown; there are {cooldowns}") from error


@contextmanager
def _executor(runs: int, cluster: str | None) -> Iterator[Executor]:
    """A cluster, processes of this machine, or, for one run, this process."""
    if cluster is not None:
        try:
            from distributed import Client  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise RequestError("--cluster needs dask.distributed: pip install 'labnis[cluster]'") from error
        try:
            client = Client(cluster, timeout="10s")  # type: ignore[no-untyped-call]
        except OSError as error:
            raise RequestError(f"--cluster {cluster}: there is no scheduler: {error}") from error
        with client, client.get_executor() as executor:  # type: ignore[no-untyped-call]
            yield executor
    elif runs == 1:
        with ThreadPoolExecutor(1) as executor:
            yield executor
    else:
        with local_processes() as executor:
            yield executor


@dataclass(frozen=True)
class _Kept:
    """Keeps new fits: in the files of their runs, and in the ledger, where they supersede."""

    data: Path
    ledger: Ledger
    version: str
    batch: str
    priors: Mapping[Path, Mapping[str, Prior]]
    names: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Run → analysis → name of its newest fit in the file, of those that were fitted again."""

    def keep(self, one: Refitted) -> None:
        """Those of a run; of one that was not complete, in its file only.

        Of a run whose newest fits are the same already, those that are not in the ledger: the process that has written
        them into the file may have been killed then.
        """
        if not (fits := one.fits or one.newest):
            return
        names = commit(one) if one.fits else newest_versions(read_fits(one.path))
        self.names[one.run_id] = names
        metadata = read_metadata(one.path)
        if metadata["status"] != "done":
            return
        device = device_of(metadata)
        ledger = self.ledger.of_device(device)
        before = ledger.calibrations(run_id=one.run_id)
        known = {(calibration.analysis, calibration.name_in_file) for calibration in before}
        fits = {name: fit for name, fit in fits.items() if (name, names[name]) not in known}
        if not fits:
            return
        if before and all(calibration.revoked for calibration in before):
            say(f"labnis: {one.run_id} was revoked: its new fits are in its file only", err=True)
            return
        own = self.priors.get(one.path, {})
        used = [
            used | {"version": self._version(used)} for used in metadata["calibrations"] if used["fit"] not in own
        ] + records_of(own)
        logbook = Logbook(ledger, metadata["cooldown"], self.batch, self.data, self.version, metadata["simulated"])
        for told in logbook.enter(analyses_of_run(metadata), fits, one.path, metadata | {"calibrations": used}, names):
            say(f"labnis: {one.run_id}: {told}", err=True)

    def _version(self, used: Mapping[str, str]) -> str:
        """Name of a fit that was used, in the file of its run: of one that was fitted again, that of the new one."""
        known = {used["fit"]: used.get("version", used["fit"])} | dict(self.names.get(used["run_id"], {}))
        return known[used["fit"]]


def _record(one: Refitted) -> dict[str, Any]:
    moved = {name: {"before": old, "after": new, "moved": sigmas} for name, old, new, sigmas in _moved(one)}
    fits = {name: fit.as_record() for name, fit in one.fits.items()}
    return {"path": str(one.path), "fits": fits, "problems": one.problems, "results": moved}


def _moved(one: Refitted) -> Iterator[tuple[str, Any, Any, float | None]]:
    """Name, both estimates, and by how many of its former σ each result has moved; None where it is, or was, none."""
    for name, new in one.after.items():
        old = one.before.get(name)
        both = old is not None and old.limit is None and new.limit is None and old.sigma > 0
        yield name, old, new, (new.value - old.value) / old.sigma if both and old is not None else None


def _print_one(one: Refitted) -> None:
    if one.after:
        title = f"Refit of {one.procedure} {one.run_id}"
        print_table(estimate_table(one.after, doubtful=one.doubtful, title=title, width=width_of(sys.stdout)))
        print_table(_moved_table([one]))
    for name, fit in one.fits.items():
        for text in fit.warnings:
            say(f"warning ({name}): {text}")
        for parameter, text in fit.assumed.items():
            say(f"assumed ({name}): {parameter}: {text}")
    if one.unchanged:
        say(f"{one.run_id}: data, priors and code are those of its newest fits")


def _moved_table(found: Sequence[Refitted]) -> Table:
    """Each result before and after, and by how many of its former σ it has moved."""
    table = Table("run", "result", "before", "after", encodable("moved (σ)"))
    for one in found:
        for name, old, new, sigmas in _moved(one):
            shown = f"{new}{' ?' if name in one.doubtful else ''}"
            text = "" if sigmas is None else f"{sigmas:+.2f}"
            before = "" if old is None else f"{old}{' ?' if name in one.doubtful_before else ''}"
            table.add_row(*cells([one.run_id, name, before, shown, text]))
    return table


def _print_moved(found: Sequence[Refitted]) -> None:
    table = _moved_table(found)
    if table.row_count:
        print_table(table)
    told: dict[str, list[str]] = {}
    for one in found:
        for text in [f"warning ({name}): {text}" for name, fit in one.fits.items() for text in fit.warnings]:
            told.setdefault(text, []).append(one.run_id)
    for text, of in told.items():
        say(f"{text} ({_named(of)})")
    if same := [one.run_id for one in found if one.unchanged]:
        say(f"data, priors and code are those of the newest fits: {len(same)} of {len(found)} runs")


def _named(runs: Sequence[str]) -> str:
    """The ids, of many the first ones and their number."""
    return ", ".join(runs) if len(runs) <= _NAMED else f"{', '.join(runs[:_NAMED])} and {len(runs) - _NAMED} more"


def _end(found: Sequence[Refitted], lost: Mapping[str, str]) -> None:
    """With the exit code of doubtful data where a fit failed or is in doubt."""
    several = len(found) > 1
    failed = [
        f"{f'{one.run_id}: ' if several else ''}{f'no fit ({name}): ' if name else ''}{text}"
        for one in found
        for name, text in one.problems.items()
    ]
    failed += [f"{run}: {why}" for run, why in lost.items()]
    if failed:
        raise DataQualityError("; ".join(failed))
    doubtful = [f"{one.run_id}: {', '.join(sorted(one.doubtful))}" for one in found if one.doubtful]
    if doubtful:
        what = "; ".join(doubtful) if several else doubtful[0].partition(": ")[2]
        raise DataQualityError(f"results are in doubt: {what}; see the warnings")
