"""A cooldown as one folder that explains itself: runs, calibrations, and a manifest (RO-Crate 1.1)."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labnis import __version__
from labnis.errors import RequestError
from labnis.exchange.copies import copied
from labnis.exchange.origins import summary_of
from labnis.experiment.run import Run

__all__ = ["write_crate"]

_PROFILE = "https://w3id.org/ro/crate/1.1"
_CALIBRATIONS = "calibrations.json"


def write_crate(name: str, runs: Sequence[Run], calibrations: Sequence[Mapping[str, Any]], out: Path) -> None:
    """Write copies of the `runs` of the cooldown `name`, and its `calibrations` as JSON, into the new folder `out`.

    Warnings of their fits that are not in their files, as by the ledger, are in the copies and in the manifest.

    Raises
    ------
    RequestError
        `out` exists, or cannot be written.
    StorageError
        A run cannot be read, or its copy not be written.

    """
    try:
        out.mkdir(parents=True)
        entities = [_copied(run, out) for run in runs]
        # Relative to the folder, where its run is there; paths of this computer say nothing elsewhere.
        within = [{**one, "run_path": Path(one["run_path"]).name} for one in calibrations]
        (out / _CALIBRATIONS).write_text(json.dumps(within, default=str, indent=1), encoding="utf-8")
        manifest = json.dumps(_manifest(name, entities), indent=1)
        (out / "ro-crate-metadata.json").write_text(manifest, encoding="utf-8")
    except FileExistsError as error:
        raise RequestError(f"{out} exists; give another name") from error
    except OSError as error:
        raise RequestError(f"{out}: cannot be written: {error.strerror or error}") from error


def _copied(run: Run, out: Path) -> dict[str, Any]:
    """A copy of a run in the folder, in words of schema.org."""
    path, known = copied(run, out / run.path.name), summary_of(run)
    doubtful = {*known["doubtful"]}
    shown = [
        f"{name} = {estimate}{' (in doubt)' if name in doubtful else ''}" for name, estimate in run.results.items()
    ]
    return {
        "@id": path.name,
        "@type": "File",
        "name": f"{run.procedure} {run.run_id}",
        "description": "; ".join([known["note"], *shown] if known["note"] else shown) or run.status,
        "dateCreated": known["start"],
        "encodingFormat": "application/x-hdf5",
        "contentSize": str(path.stat().st_size),
        "keywords": ", ".join(["simulated"] * known["simulated"] + known["tags"]),
    }


def _manifest(name: str, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    parts = [*(file["@id"] for file in files), _CALIBRATIONS]
    return {
        "@context": f"{_PROFILE}/context",
        "@graph": [
            {
                "@id": "ro-crate-metadata.json",
                "@type": "CreativeWork",
                "conformsTo": {"@id": _PROFILE},
                "about": {"@id": "./"},
            },
            {
                "@id": "./",
                "@type": "Dataset",
                "name": f"cooldown {name}",
                "description": f"Runs and calibrations of the cooldown {name}, written by labnis {__version__}.",
                "datePublished": datetime.now(UTC).isoformat(timespec="seconds"),
                "license": "not stated",
                "hasPart": [{"@id": part} for part in parts],
            },
            *files,
            {
                "@id": _CALIBRATIONS,
                "@type": "File",
                "name": "calibrations",
                "description": "Calibrations of the cooldown in the ledger, with both parts of σ.",
                "encodingFormat": "application/json",
            },
        ],
    }
