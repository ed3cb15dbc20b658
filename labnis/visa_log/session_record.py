"""The VISA record of one command, with lines about the command and its runs."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pymeasure.experiment import Procedure

from labnis import __version__
from labnis.errors import RequestError
from labnis.experiment.events import Ended, Event, Started
from labnis.station import StationConfig
from labnis.storage import StorageError, new_run_id, open_rows, slug
from labnis.visa_log.recording import VisaRecord
from sim_instruments import Twin
from sim_instruments.visa import SUFFIX, VERSION

__all__ = ["SessionRecord", "digests", "recorded"]


class SessionRecord(VisaRecord):
    """A VISA record with lines about the session's runs and digests of their rows."""

    def __call__(self, event: Event) -> None:
        """Note the start of a run (and the first point of a resumed one); at its end the digests of its rows."""
        if isinstance(event, Started):
            self.note({"do": "run", "file": self._relative(event.path), "first_point": event.first_point})
        elif isinstance(event, Ended):
            with suppress(StorageError):  # the run itself reports errors of its file
                self.note({"do": "rows", "file": self._relative(event.run.path), **digests(event.run.path)})

    def _relative(self, path: Path) -> str:
        return Path(os.path.relpath(path, self.path.parent)).as_posix()


@contextmanager
def recorded(
    config: StationConfig, data: Path, cooldown: str, twin: Twin | None, *, procedures: Sequence[Procedure]
) -> Iterator[SessionRecord]:
    """Write a VISA record below `data` during the context.

    Parameters
    ----------
    config
        Of the station.
    data, cooldown
        Data folder, and name of the cooldown; the VISA record is written to the cooldown's folder in it, like the runs.
    twin
        The simulated fridge of a dry run.
    procedures
        Configured procedures of the command.

    Raises
    ------
    StorageFault
        The VISA record cannot be created; no instrument was touched.
    RequestError
        A procedure's parameters, or a simulated instrument, cannot be recorded.

    """
    if twin is not None and twin.stand_ins:
        raise RequestError(
            f"{', '.join(twin.stand_ins)}: simulated without VISA, so that there are no messages to record; run it "
            "without --record-visa"
        )
    start = datetime.now().astimezone()
    folder = data.resolve() / slug(cooldown or "no-cooldown") / f"{start:%Y-%m-%d}"
    header = {
        "labnis_visa_record": VERSION,
        "labnis": __version__,
        "start": start.isoformat(),
        "procedures": [_described(procedure) for procedure in procedures],
        "station": config.public_text,
        "addresses": dict(twin.addresses) if twin else {name: config.address(name) for name in config.instruments},
        "cooldown": cooldown,
        "simulation": {"seed": twin.seed, "truth": twin.truth_text} if twin else None,
    }
    record = SessionRecord(folder / f"{start:%H%M%S}-{new_run_id()}{SUFFIX}", header)
    ended = ""
    try:
        yield record
    except BaseException as error:
        ended = type(error).__name__
        raise
    finally:
        record.close(ended)


def digests(path: Path) -> dict[str, Any]:
    """Digests that show whether two runs have the same rows, bit for bit.

    Returns
    -------
    dict
        `rows`: a digest of each row; `columns`: column or axis → digest of all its values.

    Raises
    ------
    StorageError
        The file cannot be read.
    """
    run = open_rows(path)
    # The time of day differs in a replay, and the time of a resumed run continues from the last row.
    names = sorted(str(name) for name in run.variables if name not in ("time", "time_utc"))
    values = {name: np.ascontiguousarray(run[name].values) for name in names}
    columns = [array for name, array in values.items() if run[name].dims[:1] == ("point",)]
    rows = [_digest(*(column[row] for column in columns)) for row in range(run.attrs["rows"])]
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
        if not isinstance(value, str | int | float | bool | list | tuple | None):
            raise RequestError(
                f"{kind.__name__}.{name} is {value!r}, which a VISA record cannot hold; run it without --record-visa"
            )
    return {"procedure": f"{kind.__module__}.{kind.__qualname__}", "parameters": parameters}
