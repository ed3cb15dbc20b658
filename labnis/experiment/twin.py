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
from sim_instruments import Errors, Twin, open_twin

__all__ = ["twin_of"]


@contextmanager
def twin_of(config: StationConfig, truth: Path | str | None, seed: int | None) -> Iterator[Twin]:
    """The simulated fridge of the station, from the file `truth` or from the station file's own.

    Raises
    ------
    ConfigurationError, TruthError
        No truth file is named, or it cannot be used.

    """
    file = Path(truth) if truth is not None else config.twin
    if file is None:
        raise ConfigurationError(f"{config.path}: labnis.twin.file is missing; name a truth file there or by --twin")
    errors = Errors(overload=OverloadError, compliance=ComplianceError)
    instruments = simulated_instruments(config)
    wiring, stated = config.wiring_record(), _stated(config)
    with open_twin(file, seed=seed, wiring=wiring, instruments=instruments, errors=errors, stated=stated) as twin:
        yield twin


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
