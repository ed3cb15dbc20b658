"""Replay of a VISA record without instruments: the same messages must give the same rows, bit for bit.

As a test::

    def test_the_sweep_of_tuesday_night(tmp_path):
        replay(Path("tests/data/tuesday.visa.jsonl"), tmp_path)  # raises at the first difference

Drivers, station, procedures, storage and fits are those of a real run; only the VISA library and the clock answer from
the VISA record. There is no guardian and no lock, because no instrument is used.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pymeasure.experiment import Procedure

from labnis.errors import DataQualityError, InstrumentFault, RequestError
from labnis.experiment.events import Event, Observer, Started
from labnis.experiment.request import stored_procedure
from labnis.experiment.session import Session
from labnis.ledger import InvalidEntryError, open_ledger
from labnis.printable import sentence
from labnis.safety.stop_requests import StopRequest
from labnis.station import load_station, open_station
from labnis.storage import StorageError, check_data_root
from labnis.visa_log.session_record import digests
from sim_instruments import Twin
from sim_instruments.visa import SUFFIX, Record, RecordedRun, RecordError, ReplayLibrary, open_replay

__all__ = ["Replayed", "replay"]

STOPPED = "StoppedBySignal"
"""Errors of a stopped command: a VISA record cannot tell between which two steps of the program it stopped."""


class _Procedure(BaseModel):
    """A recorded procedure: dotted path of its class, and its parameters."""

    procedure: str
    parameters: dict[str, Any]


class _Simulation(BaseModel):
    """Seed and truth file of the twin."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    truth: str = ""


class _Header(BaseModel):
    """What a replay needs of the first line."""

    model_config = ConfigDict(frozen=True, strict=True)

    procedures: Annotated[list[_Procedure], Field(min_length=1)]
    station: str
    addresses: dict[str, str]
    cooldown: str
    simulation: _Simulation | None = None


@dataclass(frozen=True)
class Replayed:
    """Result of a replay without a difference.

    Attributes
    ----------
    runs
        Files of the replayed runs.
    messages
        Number of replayed calls of VISA functions.
    rows
        Number of rows that are identical to those of the recorded runs.
    whole
        Whether the whole command was replayed; if not, `report` says why.
    report
        Report in sentences.
    """

    runs: tuple[Path, ...]
    messages: int
    rows: int
    whole: bool
    report: tuple[str, ...]


def replay(file: Path, data: Path) -> Replayed:
    """Repeat the command recorded in `file`, with its runs and its ledger in the empty folder `data`.

    Raises
    ------
    RequestError
        `file` is not a VISA record, or `data` is in use.
    InstrumentFault
        A driver sent other bytes than recorded: the message names instrument, recorded and sent bytes. Or the command
        ended with another result.
    DataQualityError
        The messages are the same, but a row differs: the message names run, row and columns.
    """
    if not file.name.endswith(SUFFIX):
        raise RequestError(f"{file}: the name of a VISA record ends with {SUFFIX}")
    check_data_root(data)
    try:
        with open_replay(file) as library:
            return _replayed(file, data, library)
    except RecordError as error:
        raise RequestError(str(error)) from error
    except FileExistsError as error:
        raise RequestError(f"{data} is in use already ({error.filename}); give an empty folder") from error


def _replayed(file: Path, data: Path, library: ReplayLibrary) -> Replayed:
    record = library.record
    paths: list[Path] = []

    def observer(event: Event) -> None:
        if isinstance(event, Started):
            paths.append(event.path)

    failure = _failure_of_command(file, data, library, observer)
    stopped = record.ended == STOPPED and bool(library.difference)
    partial = library.ran_out or bool(library.difference)
    compared = [
        _compared(file, recorded, path, partial=partial) for recorded, path in zip(record.runs, paths, strict=False)
    ]
    notes = [note for _, note in compared]
    if record.ended:
        notes.append(f"The recorded command ended with {sentence(record.ended)}")
    if library.difference and not stopped:
        raise InstrumentFault(" ".join([sentence(library.difference), *notes]))
    if not partial:
        _check_end(record, failure, library)
    whole = record.ended is not None and not stopped
    if not whole:
        why = "a signal stopped it" if stopped else "it is incomplete: the command was killed, or the disk was full"
        notes.append(f"The VISA record was replayed to its last line; {why}.")
    return Replayed(tuple(paths), library.repeated, sum(rows for rows, _ in compared), whole, tuple(notes))


def _header(file: Path, record: Record) -> _Header:
    try:
        return _Header.model_validate(record.header)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise RequestError(f"{file}, line 1: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _failure_of_command(file: Path, data: Path, library: ReplayLibrary, observer: Observer) -> Exception | None:
    """Run the command of the VISA record; return the error that ended it."""
    record = library.record
    header = _header(file, record)
    station_file = data / "station.yaml"
    with station_file.open("x", encoding="utf-8") as copy:
        copy.write(header.station.replace("'***'", "'sqlite://'"))  # the ledger's URL is not in the VISA record
    config = load_station(station_file)
    ledger = open_ledger(data / "ledger.sqlite", device=config.device.name)
    try:
        ledger.start_cooldown(header.cooldown)
    except InvalidEntryError as error:
        raise RequestError(f"{file}, line 1: cooldown: {error}") from error
    procedures = list(_procedures(file, header, record))
    simulation = header.simulation or _Simulation()
    # The instruments answer from the VISA record, whether it is of a twin or of a real fridge.
    twin = Twin(
        visalib=f"{file}@labnis", addresses=header.addresses, stand_ins={}, clock=library.clock, true_results=dict,
        seed=simulation.seed, truth_text=simulation.truth,
    )  # fmt: skip
    try:
        with open_station(config, twin=twin) as station:
            session = Session(
                station, data=data, ledger=ledger, cooldown=header.cooldown, twin=twin, stop=StopRequest(),
                observers=[observer], guard=lambda: None,
            )  # fmt: skip
            session.prepare(procedures)
            for procedure in procedures:
                session.run(procedure)
    except Exception as error:  # noqa: BLE001  # compared with the end of the recorded command
        return error
    return None


def _procedures(file: Path, header: _Header, record: Record) -> Iterator[Procedure]:
    """The command's procedures as configured. A resumed run begins at its resumption."""
    for number, wanted in enumerate(header.procedures):
        procedure = stored_procedure(wanted.procedure, wanted.parameters, file)
        if number < len(record.runs) and record.runs[number].first_point:
            procedure.first_point = record.runs[number].first_point
        yield procedure


def _compared(file: Path, recorded: RecordedRun, path: Path, *, partial: bool) -> tuple[int, str]:
    """Number of equal rows, and a sentence about them.

    Raises
    ------
    DataQualityError
        The first row that differs; after a `partial` replay, rows may be missing.
    """
    expected: dict[str, Any] = {"rows": recorded.rows, "columns": recorded.columns}
    if recorded.rows is None:  # the VISA record is incomplete; the run's file may exist
        partial = True
        try:
            expected = digests(file.parent / recorded.file)
        except StorageError:
            return 0, f"{recorded.file}: no rows to compare with."
    found = digests(path)
    # The first row of a resumed run repeats the last earlier one, and is not in the file.
    before = recorded.first_point + 1 if recorded.first_point else 0
    old, new = expected["rows"][before:], found["rows"][1 if before else 0 :]
    for number, (one, other) in enumerate(zip(old, new, strict=False)):
        if one != other:
            raise DataQualityError(
                f"row {before + number} (from 0) of {recorded.file} differs from its replay, although the messages "
                f"are the same; {_differing(expected, found)}Compare it with {path}"
            )
    if len(old) != len(new) and not partial:
        raise DataQualityError(f"{recorded.file} has {len(old)} rows; its replay {path} has {len(new)}")
    same = min(len(old), len(new))
    return same, f"{recorded.file}: {same} rows, identical bit for bit."


def _differing(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    names = [name for name in found["columns"] if found["columns"][name] != expected["columns"].get(name)]
    return f"columns that differ: {', '.join(names)}. "


def _check_end(record: Record, failure: Exception | None, library: ReplayLibrary) -> None:
    """Refuse a command that ended with another result than the recorded one."""
    if failure is not None and type(failure).__name__ != record.ended:
        raise InstrumentFault(
            f"the recorded command ended with {record.ended or 'success'}, its replay with {type(failure).__name__}: "
            f"{failure}"
        ) from failure
    if library.left_over():
        raise InstrumentFault(f"the VISA record continues after the end of the replay: {library.left_over()}")
