"""Recording the VISA traffic of a command: what the record says of the command and of its runs.

How traffic is recorded is `labnis.station.traffic`; what becomes of a record is `labnis.replay`.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pymeasure.experiment import Procedure

from labnis import __version__
from labnis.errors import RequestError
from labnis.station import StationConfig
from labnis.station.traffic import VisaRecord
from labnis.storage import RunWriter, StorageError, new_run_id, open_rows, slug

__all__ = ["digests", "note_problem", "note_rows", "note_run", "recorded"]


@contextmanager
def recorded(
    config: StationConfig,
    procedures: Sequence[Procedure],
    *,
    data: Path,
    cooldown: str,
    addresses: Mapping[str, str] | None,
    simulation: Mapping[str, Any] | None,
) -> Iterator[VisaRecord]:
    """Record VISA traffic in a new file below `data` while the context lasts.

    Parameters
    ----------
    config, procedures
        Station and configured procedures of the command.
    data, cooldown
        Data folder, and name of the cooldown, whose folder in it gets the record, as it gets the runs.
    addresses
        Role → VISA address, where it is not the station file's.
    simulation
        Seed and truth file of the twin in a dry run; None at a real fridge.

    Raises
    ------
    StorageFault
        The file cannot be created; no instrument was touched.
    """
    start = datetime.now().astimezone()
    folder = data.resolve() / slug(cooldown or "no-cooldown") / f"{start:%Y-%m-%d}"
    roles = config.roles.filled()
    header = {
        "labnis_visa_record": 1,
        "labnis": __version__,
        "start": start.isoformat(),
        "procedures": [_described(procedure) for procedure in procedures],
        "station": config.public_text,
        "addresses": {role: addresses[role] if addresses else config.address(role) for role in roles},
        "cooldown": cooldown,
        "simulation": simulation,
    }
    record = VisaRecord(folder / f"{start:%H%M%S}-{new_run_id()}.visa.jsonl", header)
    ended = ""
    try:
        yield record
    except BaseException as error:
        ended = type(error).__name__
        raise
    finally:
        record.close(ended)


def note_run(record: VisaRecord | None, procedure: Procedure, writer: RunWriter) -> None:
    """Let a run that begins and its record, if there is one, name each other."""
    if record is None:
        return
    name = Path(os.path.relpath(record.path, writer.path.parent)).as_posix()
    writer.event("visa", "VISA traffic is recorded", record=name)
    # Where a run is resumed, `first_point` says where it goes on.
    file = Path(os.path.relpath(writer.path, record.path.parent)).as_posix()
    record.note({"do": "run", "file": file, "first_point": getattr(procedure, "first_point", 0)})
    record.runs.append(writer.path)


def note_problem(record: VisaRecord | None, writer: RunWriter) -> None:
    """Let a run say that its record ended early."""
    if record is not None and record.problem:
        writer.event("visa", record.problem)


def note_rows(record: VisaRecord | None) -> None:
    """Let the record say what the last run's rows are, once its file is closed."""
    if record is None or not record.runs:
        return
    path = record.runs[-1]
    try:
        found = digests(path)
    except StorageError:
        return  # the run itself says what is wrong with its file
    record.note({"do": "rows", "file": Path(os.path.relpath(path, record.path.parent)).as_posix(), **found})


def digests(path: Path) -> dict[str, Any]:
    """What tells whether two runs have the same rows, bit for bit.

    Returns
    -------
    dict
        `rows`: a digest of each row; `columns`: column or axis → digest of all its values.

    Raises
    ------
    StorageError
        The file cannot be read.
    """
    run = open_rows(path).drop_vars("point")
    values = {str(name): np.ascontiguousarray(run[name].values) for name in sorted(map(str, run.variables))}
    count = run.attrs["rows"]
    columns = [array for name, array in values.items() if run[name].dims[:1] == ("point",)]
    rows = [_digest(*(column[row] for column in columns)) for row in range(count)]
    return {"rows": rows, "columns": {name: _digest(array) for name, array in values.items()}}


def _digest(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()[:16]


def _described(procedure: Procedure) -> dict[str, Any]:
    kind = type(procedure)
    parameters = procedure.parameter_values()
    for name, value in parameters.items():
        if not isinstance(value, str | int | float | bool | list | None):
            raise RequestError(
                f"{kind.__name__}.{name} is {value!r}, which a record of VISA traffic cannot hold; run it without "
                "--record-visa"
            )
    return {"procedure": f"{kind.__module__}.{kind.__qualname__}", "parameters": parameters}
