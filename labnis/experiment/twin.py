"""The simulated fridge of a station."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from drivers.errors import ComplianceError, OverloadError
from labnis.accuracy import Source
from labnis.errors import ConfigurationError
from labnis.station import StationConfig, stated_sources
from labnis.station.simulated import simulated_instruments
from sim_instruments import Errors, Setup, Twin, open_twin

__all__ = ["setup_of", "truth_file", "twin_of"]


@contextmanager
def twin_of(config: StationConfig, truth: Path | str | None, seed: int | None) -> Iterator[Twin]:
    """The simulated fridge of the station, from the file `truth` or from the station file's own.

    Raises
    ------
    ConfigurationError, TruthError
        No truth file is named, or it cannot be used.

    """
    setup, file = setup_of(config), truth_file(config, truth)
    errors = Errors(overload=OverloadError, compliance=ComplianceError)
    with open_twin(
        file, seed=seed, wiring=setup.wiring, instruments=setup.instruments, errors=errors, stated=setup.stated
    ) as twin:
        yield twin


def truth_file(config: StationConfig, truth: Path | str | None) -> Path:
    """The truth file: `truth`, or that of the station file.

    Raises
    ------
    ConfigurationError
        None is named, or the one of the station file does not exist.

    """
    file = Path(truth) if truth is not None else config.twin
    if file is None:
        raise ConfigurationError(f"{config.path}: labnis.twin.file is missing; name a truth file there or by --twin")
    if truth is None and not file.exists():
        raise config.error(
            ("labnis", "twin", "file"),
            f"there is no {file.resolve()}; a truth file is copied with the station file, to which its path is "
            "relative; copy it, or give --twin FILE",
        )
    return file


def setup_of(config: StationConfig, *, without_role: bool = False) -> Setup:
    """Instruments and wiring of the station, for its simulated fridge; also instruments `without_role`, if wanted.

    Raises
    ------
    ConfigurationError
        An instrument's class cannot be imported, or cannot fill its role.

    """
    return Setup(simulated_instruments(config, without_role=without_role), config.wiring_record(), _stated(config))


def _stated(config: StationConfig) -> tuple[Source, ...]:
    """What the station file states of the uncertainty of all its instruments and its wiring."""
    if config.uncertainty is None:
        return ()
    instruments = {role: spec.instrument for role, spec in config.roles.items()}
    # Which serial number, cooldown, run and day it is does not matter: there is one of each.
    return stated_sources(
        config.uncertainty,
        instruments,
        config.tables,
        {},
        reads_current=config.source_reads_current,
        wiring=config.wiring,
        cooldown="",
        run="",
        today=date.min,
    )[0]
