"""From a station file to a session: configuration, data folder, ledger, cooldown, twin, guardian, instruments."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

from labnis.errors import ConfigurationError, InterlockError, RequestError
from labnis.experiment.calibrations import chosen_priors
from labnis.experiment.events import Event, Observer, Started, VisaRecord
from labnis.experiment.session import Session
from labnis.experiment.twin import truth_file, twin_of
from labnis.ledger import Ledger
from labnis.ledger.of_station import own_ledger_of
from labnis.safety.guardian import Guardian
from labnis.safety.stop_requests import StopRequest
from labnis.station import StationConfig, load_station, open_station
from labnis.station.sections import Device, Island
from labnis.storage import check_data_root, find_run
from sim_instruments import Twin, load_truth

__all__ = ["cooldown_for", "open_session"]

logger = logging.getLogger(__name__)

DRY_RUN_COOLDOWN = "dry-run"

OpenVisaRecord = Callable[[StationConfig, Path, str, Twin | None], AbstractContextManager[VisaRecord]]


@contextmanager
def open_session(  # noqa: PLR0913  # all but the first are optional
    station: StationConfig | Path | str = "station.yaml",
    *,
    dry_run: bool = False,
    twin: Path | str | None = None,
    seed: int | None = None,
    data: Path | str | None = None,
    observers: Sequence[Observer] = (),
    on_error: Literal["stop", "skip"] = "stop",
    accept: bool = False,
    priors_from: Sequence[Path | str] = (),
    visa_record: OpenVisaRecord | None = None,
) -> Iterator[Session]:
    """Open a station to run procedures on it.

    Works in scripts, notebooks and threads. In the main thread SIGINT, SIGTERM and SIGHUP stop the run that is going,
    in others `session.stop.ask` does. Instruments are opened when a run needs them, made safe and closed at the end;
    a run that another thread has going is stopped first.

    Parameters
    ----------
    station
        Station file, or what `load_station` made of it.
    dry_run
        Use the simulated fridge in place of the real one.
    twin, seed
        Truth file and seed of the simulated fridge, in place of the station file's. A truth file is another device,
        which has its name.
    data
        Folder for runs and ledger, in place of the station file's.
    observers
        Functions of an event; see `labnis.experiment.events`.
    on_error
        After a failed reading: "stop" ends the run, "skip" flags the row and continues.
    accept
        Whether fits of earlier runs that are in doubt may be priors.
    priors_from
        Runs (paths or ids) whose fits are priors in place of the newest ones of the ledger; not of what is measured
        again. They are of the same device; those of another cooldown or line are in doubt.
    visa_record
        Function of (configuration, data folder, cooldown, twin) that opens a VISA record, such as
        `labnis.visa_log.recorded`; None for no record.

    Raises
    ------
    RequestError, ConfigurationError, DataRootError, TruthError
        The message names what is wrong; no instrument was touched.

    """
    if not dry_run and (twin is not None or seed is not None):
        raise RequestError("--twin and --seed belong to the simulated fridge; give them with --dry-run")
    config = station if isinstance(station, StationConfig) else load_station(Path(station))
    if twin is not None and (config.twin is None or Path(twin).resolve() != config.twin.resolve()):
        config = config.model_copy(update={"device": _simulated_device(config.device, Path(twin))})
    folder = check_data_root(Path(data) if data is not None else config.data)
    stop = StopRequest()
    with ExitStack() as signals, ExitStack() as stack:
        simulated = stack.enter_context(twin_of(config, twin, seed)) if dry_run else None
        if dry_run:
            _warn_of_another_island(config, truth_file(config, twin))
        ledger = own_ledger_of(config, Path(data) if data is not None else None)
        cooldown = cooldown_for(ledger, dry_run=dry_run, where="" if data is None else f" --data {data}")
        wiring, device = config.wiring_record(), config.device.name
        runs = [find_run(folder, str(run)) for run in priors_from]
        chosen = chosen_priors(runs, cooldown, device=device, wiring=wiring, dry_run=dry_run, ledger=ledger)
        # Entered before the station: the guardian ends last, when everything is closed.
        guardian = stack.enter_context(Guardian(config, on_loss=lambda why: stop.ask(InterlockError(why))))
        record = None
        observers = [_LogOfGuardian(guardian), *observers]
        if visa_record is not None:
            record = stack.enter_context(visa_record(config, folder, cooldown, simulated))
            observers = [*observers, record]
        session = Session(
            stack.enter_context(open_station(config, twin=simulated, record=record, oversight=guardian)),
            data=folder,
            ledger=ledger,
            cooldown=cooldown,
            twin=simulated,
            stop=stop,
            observers=observers,
            guard=guardian.start if simulated is None else lambda: None,  # the twin ends with this process
            record=record,
            on_error=on_error,
            accept=accept,
            chosen=chosen,
        )
        stack.callback(session.close)
        stack.callback(lambda: signals.enter_context(stop.on_signals()))  # nothing interrupts the closing
        yield session


class _LogOfGuardian:
    """Observer that tells the guardian where a person looks for what happened to a run."""

    needs_fits = False

    def __init__(self, guardian: Guardian) -> None:
        self._guardian = guardian

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._guardian.log_to(event.path.with_suffix(".log"))


def _warn_of_another_island(config: StationConfig, truth: Path) -> None:
    """Say where the station file states another volume of the island than the truth file: only W/K⁵ are measured."""
    stated, true = config.device.island, load_truth(truth).island.volume
    if stated is not None and true is not None and not math.isclose(stated.volume, true, rel_tol=1e-3):
        logger.warning(
            "%s states an island of %g m³, and that of the truth file %s has %g m³: electron_phonon is that per stated "
            "volume, and the truth beside it is not",
            config.path, stated.volume, truth, true,
        )  # fmt: skip


def _simulated_device(device: Device, truth: Path) -> Device:
    """The device of another truth file than the station's, with its own name, for priors, and its own island."""
    island = load_truth(truth).island
    known: dict[str, Any] = {"name": truth.stem}
    if island.volume is not None and island.electron_phonon is not None:
        known["island"] = Island(volume=island.volume, electron_phonon=island.electron_phonon)
    return device.model_copy(update=known)


def cooldown_for(ledger: Ledger, *, dry_run: bool, where: str = "") -> str:
    """Name of the cooldown to log to. A dry run without one logs to a closed cooldown of its own.

    Parameters
    ----------
    ledger
        The ledger.
    dry_run
        Whether the fridge is simulated.
    where
        Command-line options that choose the ledger, for the message.

    Raises
    ------
    ConfigurationError
        No cooldown is in progress at a real fridge.

    """
    current = ledger.current_cooldown()
    if current is not None:
        return current.name
    if not dry_run:
        device = f" for device {ledger.device!r}" if ledger.device else ""
        raise ConfigurationError(
            f"no cooldown is in progress in the ledger {ledger.url}{device}; "
            f"start one with `labnis cooldown start NAME{where}`"
        )
    return ledger.closed_cooldown(DRY_RUN_COOLDOWN, note="dry runs outside any cooldown").name
