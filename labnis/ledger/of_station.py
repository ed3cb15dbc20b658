"""The ledger that belongs to a station."""

import logging
from pathlib import Path

from labnis.ledger._ledger import Ledger, open_ledger
from labnis.ledger._pending import enter_pending
from labnis.station import StationConfig
from labnis.storage import check_data_root

__all__ = ["ledger_of"]

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
        A ledger that stations share needs the name of the device.
    DataRootError, LedgerError
        The data folder or the ledger cannot be used.

    """
    folder = check_data_root(data or config.data)
    # A path is not pasted into a URL, where ?, # and % have a meaning.
    named = None if data is not None or config.ledger is None else config.ledger.get_secret_value()
    if not config.device.name and named is not None and named.startswith("postgresql"):
        raise config.error(
            ("labnis", "device"),
            "missing; a ledger that stations share needs the name of the device, such as device: A7",
        )
    url = folder / "ledger.sqlite" if named is None else _expanded(named)
    ledger = open_ledger(url, device=config.device.name)
    entered, problems = enter_pending(folder, ledger)
    if entered:
        logger.warning("the saved results of %d runs are in the ledger now", entered)
    for problem in problems:
        logger.warning(problem)
    return ledger
