"""What a command needs before it measures: configuration, data folder, ledger, cooldown, twin."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymeasure.experiment import Procedure

from labnis.errors import ConfigurationError, RequestError
from labnis.experiment.goals import PrecisionGoal
from labnis.experiment.session import Simulation
from labnis.ledger import Ledger, open_ledger
from labnis.ledger.pending import enter_pending
from labnis.station import StationConfig, load_station
from labnis.storage import check_data_root
from labnis.visa_log.recording import VisaRecord
from labnis.visa_log.run_digests import recorded
from sim_instruments import Twin, open_twin

__all__ = ["Options", "Prepared", "cooldown_for", "ledger_of", "listed", "prepared"]

logger = logging.getLogger(__name__)

DRY_RUN_COOLDOWN = "dry-run"


@dataclass(frozen=True)
class Options:
    """How a command was called."""

    station: Path
    dry_run: bool
    seed: int | None
    twin: Path | None
    data: Path | None
    yes: bool
    record_visa: bool = False
    goals: tuple[PrecisionGoal, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """Checked configuration, a writable data folder, and the twin if this is a dry run."""

    config: StationConfig
    data: Path
    twin: Twin | None

    @property
    def simulation(self) -> Simulation | None:
        """What stands in for the fridge, in a dry run."""
        if self.twin is None:
            return None
        return Simulation(self.twin.visalib, self.twin.addresses, self.twin.seed, self.twin.truth_text)

    @contextmanager
    def recorded(self, procedures: Sequence[Procedure], options: Options, cooldown: str) -> Iterator[VisaRecord | None]:
        """The record of VISA traffic that belongs to a command, where it wants one."""
        if not options.record_visa:
            yield None
            return
        twin = self.twin
        with recorded(
            self.config,
            procedures,
            data=self.data,
            cooldown=cooldown,
            addresses=twin.addresses if twin else None,
            simulation={"seed": twin.seed, "truth": twin.truth_text} if twin else None,
        ) as record:
            yield record


@contextmanager
def prepared(options: Options) -> Iterator[Prepared]:
    """Check everything that can be checked without an instrument, and switch on the twin of a dry run.

    Raises
    ------
    RequestError, ConfigurationError, DataRootError, TruthError
        Naming what is wrong.
    """
    if not options.dry_run:
        for name in ("seed", "twin"):
            if getattr(options, name) is not None:
                raise RequestError(f"--{name} belongs to the simulated fridge; give it together with --dry-run")
    config = load_station(options.station)
    data = options.data or config.data
    check_data_root(data)
    with ExitStack() as stack:
        twin = stack.enter_context(_twin(config, options)) if options.dry_run else None
        yield Prepared(config, data, twin)


@contextmanager
def _twin(config: StationConfig, options: Options) -> Iterator[Twin]:
    truth = options.twin or config.twin
    if truth is None:
        raise ConfigurationError(f"{config.path}: labnis.twin.file is missing; name a truth file there or by --twin")
    names = ("divider", "series_resistance", "current_amplifier_gain", "excitation_divider")
    with open_twin(truth, seed=options.seed, wiring={name: getattr(config.wiring, name) for name in names}) as twin:
        yield twin


def cooldown_for(ledger: Ledger, options: Options) -> str:
    """Name of the cooldown to log to. A dry run without one logs to a closed cooldown of its own."""
    current = ledger.current_cooldown()
    if current is not None:
        return current.name
    if not options.dry_run:
        same = f" --data {options.data}" if options.data else ""
        raise ConfigurationError(
            f"no cooldown is in progress in the ledger {ledger.url}; start one with `labnis cooldown start NAME{same}`"
        )
    if DRY_RUN_COOLDOWN not in {c.name for c in ledger.cooldowns()}:
        ledger.start_cooldown(DRY_RUN_COOLDOWN, note="dry runs outside any cooldown")
        ledger.end_cooldown()
    return DRY_RUN_COOLDOWN


def ledger_of(config: StationConfig, data: Path | None) -> Ledger:
    """The station's ledger; with --data, the one in that folder."""
    folder = check_data_root(data or config.data)
    url = f"sqlite:///{(folder / 'ledger.sqlite').as_posix()}" if data else config.ledger.get_secret_value()
    ledger = open_ledger(url)
    entered = enter_pending(folder, ledger)
    if entered:
        logger.warning("%d runs whose results had been waiting are in the ledger now", entered)
    return ledger


def listed(values: dict[str, Any]) -> str:
    """A mapping in one line, without what is not known."""
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)
