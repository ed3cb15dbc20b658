"""What an exported run says of itself, so that it comes back as it was: its time, device, line and priors."""

import csv
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py

from labnis.errors import RequestError
from labnis.exchange.reading import is_run
from labnis.experiment.calibrations import Prior
from labnis.experiment.run import Run, device_of, stored_run
from labnis.fit import FitContext, FitError, FitResult

__all__ = ["Origin", "origin_in", "origin_of", "record_of_run", "summary_of"]

# JSON in the attributes of a dataset that is, or was written as, the data of a run.
_NESTED = ("context", "calibrations", "instruments", "tags")
_COMMENTS = ("# ", "! labnis ")


@dataclass(frozen=True)
class Origin:
    """The run that was exported; empty where its export does not say it.

    Attributes
    ----------
    run_id, procedure, device, cooldown, start, simulated, tags
        Those of the run, the device by its name.
    context
        Conditions of its fits; None in exports of earlier versions. The part of the line is subtracted already.
    priors
        Analysis → fit that its own needed.
    warnings
        Analysis → reasons to doubt its fit.
    instruments, seed, further
        Identities of its instruments, seed of the twin, and what else its metadata have as the context of the fits.

    """

    run_id: str
    procedure: str
    device: str
    cooldown: str
    start: datetime
    simulated: bool
    tags: tuple[str, ...] = ()
    context: FitContext | None = None
    priors: Mapping[str, Prior] = field(default_factory=dict)
    warnings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instruments: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    further: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, Any]:
        """Those of the run that say where a calibration of it holds, by their names there."""
        context = self.context or FitContext()
        known = {name: getattr(self, name) for name in ("run_id", "start", "cooldown", "simulated", "instruments")}
        return known | {"wiring": context.wiring, "context": {"fit": context.as_json()}}


def summary_of(run: Run) -> dict[str, Any]:
    """What is said of a run beside its data: plain types."""
    known = run.metadata
    results = {name: estimate.as_record() for name, estimate in run.results.items()}
    return {
        "run_id": run.run_id,
        "procedure": run.procedure,
        "device": device_of(known),
        "cooldown": known["cooldown"],
        "start": known["start"].isoformat(),
        "simulated": bool(known["simulated"]),
        "status": run.status,
        "tags": list(known["tags"]),
        "note": known["note"],
        "results": results,
        "doubtful": sorted(run.doubtful),
    }


def record_of_run(run: Run) -> dict[str, Any]:
    """The summary of a run, with what its fits need besides the data."""
    warnings = {name: list(fit.warnings) for name, fit in run.fits.items() if fit.warnings}
    return summary_of(run) | _needed(run.metadata) | {"warnings": warnings}


def _needed(known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "context": known["context"],
        "calibrations": [{k: v for k, v in one.items() if k != "run"} for one in known["calibrations"]],
        "instruments": known["instruments"],
        "seed": known["seed"],
    }


def origin_of(path: Path) -> Origin | None:
    """What the file at `path` says of the run that it was exported from, or is; None where it is of another program.

    Raises
    ------
    RequestError
        It cannot be read, or what it says cannot be used.

    """
    try:
        record = _recorded(path)
    except (OSError, sqlite3.Error) as error:
        raise RequestError(f"{path}: cannot be read: {error}") from error
    return _origin(record, str(path))


def origin_in(attributes: Mapping[str, Any]) -> Origin | None:
    """The same of the attributes of a dataset, such as `labnis.open_run(path).data.attrs`."""
    return _origin(_in_attributes(attributes), "the attributes of the dataset")


def _recorded(path: Path) -> Any:
    """The record in a file, as JSON or as a mapping; None without one."""
    if h5py.is_hdf5(path):
        if is_run(path):
            return record_of_run(stored_run(path))
        with h5py.File(path, "r") as file:
            groups = [file[name].attrs for name in ("data", "traces") if isinstance(file.get(name), h5py.Group)]
            own = [attributes["__labnis__"] for attributes in groups if "__labnis__" in attributes]
            return own[0] if own else _in_attributes(dict(file.attrs))
    if path.suffix.lower() == ".db":  # of many datasets the newest one is read
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row
            row = database.execute("SELECT * FROM runs ORDER BY run_id DESC LIMIT 1").fetchone()
            return row["labnis"] if row is not None and "labnis" in row.keys() else None  # noqa: SIM118  # not a mapping
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        line = file.readline()
    if line.startswith('"#'):  # written again by a spreadsheet, which divides it at its commas
        line = ",".join(next(csv.reader([line])))
    return next((line.removeprefix(one) for one in _COMMENTS if line.startswith(f"{one}{{")), None)


def _in_attributes(known: Mapping[str, Any]) -> Any:
    if "labnis" in known:
        return known["labnis"]
    if not {"run_id", "procedure", "start", *_NESTED} <= known.keys():
        return None
    found = {**known, **{name: json.loads(known[name]) for name in _NESTED}}
    return {**found, **_needed({"seed": None, **found}), "device": device_of(found)}


def _origin(record: Any, where: str) -> Origin | None:
    if isinstance(record, bytes):
        record = record.decode(errors="replace")
    if record is None or "run_id" not in record:  # a comment of another program
        return None
    try:
        return _read(json.loads(record) if isinstance(record, str) else record)
    except (RecursionError, KeyError, TypeError, ValueError, AttributeError, FitError) as error:
        raise RequestError(
            f"{where}: what it says of the run of labnis that it was exported from cannot be used "
            f"({type(error).__name__}: {error}); export the run again"
        ) from error


def _read(known: Mapping[str, Any]) -> Origin:
    start, seed = datetime.fromisoformat(known["start"]), known.get("seed")
    if start.tzinfo is None:
        raise ValueError(f"start {start} has no time zone")
    found = Origin(
        str(known["run_id"]),
        str(known["procedure"]),
        str(known["device"]),
        str(known["cooldown"]),
        start,
        bool(known["simulated"]),
        tuple(map(str, known.get("tags", ()))),
    )
    if "context" not in known:  # exported by an earlier version
        return found
    context, used = dict(known["context"]), {one["fit"]: one for one in known["calibrations"]}
    priors = {
        name: Prior(
            FitResult.from_record(fit),
            None,
            str(used[name]["run_id"]) if name in used else "",
            str(used[name].get("version", name)) if name in used else name,
            simulated=found.simulated,
        )
        for name, fit in context.pop("priors").items()
    }
    return replace(
        found,
        context=FitContext.from_json(context.pop("fit")),
        priors=priors,
        warnings={str(name): tuple(map(str, texts)) for name, texts in known.get("warnings", {}).items()},
        instruments=dict(known["instruments"]),
        seed=None if seed is None else int(seed),
        further={name: value for name, value in context.items() if name != "results"},
    )
