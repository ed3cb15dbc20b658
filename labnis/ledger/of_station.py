"""The ledger that belongs to a station."""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from labnis.ledger._doubts import later_doubts, of_fit
from labnis.ledger._ledger import Ledger, open_ledger
from labnis.ledger._pending import enter_pending
from labnis.ledger._records import Calibration
from labnis.ledger.errors import LedgerError, LedgerUnavailableError
from labnis.station import StationConfig, load_station
from labnis.storage import check_data_root, newest_versions, read_fits, read_metadata

__all__ = ["doubts_by_fit", "doubts_in", "ledger_of", "ledger_to_read", "own_ledger_of"]

logger = logging.getLogger(__name__)


_IN_HOME = "sqlite:///~"
"""Beginning of the URL of an SQLite file in a home folder."""


def _expanded(url: str) -> str | Path:
    """The file that `url` names by `~`, or else `url`."""
    return Path(url.removeprefix("sqlite:///")).expanduser() if url.startswith(_IN_HOME) else url


def ledger_of(config: StationConfig, data: Path | None) -> Ledger:
    """The station's ledger; with `data`, the one in that folder. Results saved for it are entered.

    Raises
    ------
    ConfigurationError
        The station file names a ledger, which stations share, but no device.
    DataRootError, LedgerError
        The data folder or the ledger cannot be used.

    """
    folder = check_data_root(data or config.data)
    ledger = open_ledger(_url_of(config, data, folder), device=config.device.name, valid_for=config.valid_for)
    entered, problems = enter_pending(folder, ledger)
    if entered:
        logger.warning("the saved results of %d runs are in the ledger now", entered)
    for problem in problems:
        logger.warning(problem)
    return ledger


def ledger_to_read(station: Path, data: Path | None) -> Ledger:
    """As `ledger_of`, only to be read: nothing is made or changed. With `data`, `station` is not read.

    Raises
    ------
    ConfigurationError
        As `ledger_of`.
    LedgerError
        There is no ledger yet, it does not answer, or its tables are of another version.

    """
    if data is not None:
        return open_ledger(data / "ledger.sqlite", read_only=True)
    config = load_station(station)
    url = _url_of(config, None, config.data)
    return open_ledger(url, device=config.device.name, valid_for=config.valid_for, read_only=True)


def _url_of(config: StationConfig, data: Path | None, folder: Path) -> str | Path:
    """File or URL of the station's ledger; with `data`, of that in this `folder`."""
    # A path is not pasted into a URL, where ?, # and % have a meaning.
    named = None if data is not None or config.ledger is None else config.ledger.get_secret_value()
    if not config.device.name and named is not None:
        raise config.error(
            ("labnis", "device"),
            "missing; a ledger that stations can share needs the name of the device, such as device: A7",
        )
    return folder / "ledger.sqlite" if named is None else _expanded(named)


def doubts_by_fit(
    station: Path, data: Path | None, run: Path, fits: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """What the ledger says against the newest `fits` of a run (analysis → own warnings): revoked, or resting on such.

    A run in another data folder than `data`, or else that of the `station` file, is asked of the ledger there. One that
    does not answer is told, for the analysis "". Without any of them there is none.
    """
    try:
        ledger = _ledger_about(run, station, data)
        entries = ledger.calibrations(run_id=read_metadata(run)["run_id"]) if ledger is not None else []
    except LedgerError as error:
        return {"": [f"whether a fit was revoked since is not known: {error}"]}
    return doubts_in(entries, run, fits)


def _ledger_about(run: Path, station: Path, data: Path | None) -> Ledger | None:
    config = load_station(station) if data is None and station.exists() else None
    folder, file = data if config is None else config.data, run.resolve()
    if folder is None or not file.is_relative_to(folder.resolve()):
        for above in file.parents[:3]:  # its folder, that of the cooldown, that of all data
            if (elsewhere := above / "ledger.sqlite").is_file():
                return open_ledger(elsewhere, read_only=True)
    if config is not None:
        return ledger_of(config, None)
    return open_ledger(data / "ledger.sqlite") if data is not None and (data / "ledger.sqlite").is_file() else None


def doubts_in(entries: Sequence[Calibration], run: Path, fits: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """As `doubts_by_fit`, by the `entries` of the `run` in its ledger."""
    names = newest_versions(read_fits(run))
    own = {name: of_fit(entries, names.get(name, name)) for name in fits}
    return {name: texts for name, warnings in fits.items() if (texts := later_doubts(own[name], warnings))}


def own_ledger_of(config: StationConfig, data: Path | None) -> Ledger:
    """As `ledger_of`, for what uses or changes the current cooldown: without a device, that of one station file only.

    Raises
    ------
    ConfigurationError
        Another station file without a device has this data folder.

    """
    ledger = ledger_of(config, data)
    if not config.device.name:
        _claim(config, (data or config.data) / "ledger.station")
    return ledger


def _claim(config: StationConfig, note: Path) -> None:
    """Note the station file beside the ledger, or require that it is the one noted there."""
    try:
        own = Path(os.path.relpath(config.path.resolve(), note.parent.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        own = config.path.resolve().as_posix()
    try:
        with note.open("x", encoding="utf-8") as file:
            file.write(own)
    except FileExistsError:
        noted = note.read_text(encoding="utf-8", errors="replace")
        if noted != own:
            raise config.error(
                ("labnis", "device"),
                f"missing; the cooldowns without a device in {note.parent} are those of the station file "
                f"{noted[:200]!r} (relative to that folder). Name the device here, such as device: A7; if that "
                f"station file is this one, moved, remove {note}",
            ) from None
    except OSError as error:
        raise LedgerUnavailableError(f"{note}: cannot be written: {error.strerror or error}") from error
