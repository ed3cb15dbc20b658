"""Conditions of the fits of one run, among them its sources of systematic uncertainty."""

from dataclasses import replace
from datetime import datetime

from pymeasure.experiment import Procedure

from labnis.accuracy import Source
from labnis.experiment.preflight import needed_roles
from labnis.fit import FitContext
from labnis.ledger import new_batch
from labnis.station import OpenStation, stated_sources
from sim_instruments import Twin

__all__ = ["context_of"]


def context_of(
    procedure: Procedure, station: OpenStation, cooldown: str, fridge_temperature: float, twin: Twin | None
) -> FitContext:
    """Return what the fits of a run of `procedure` need besides its data; a temperature that is not known is NaN."""
    sources, unstated = _sources(procedure, station, cooldown)
    drawn = twin.drawn if twin is not None else ""
    if sources is not None and twin is not None and twin.instrument_errors:
        # All twins have the same serial numbers, and those of other draws share no error.
        sources = tuple(replace(source, uid=f"{source.uid}#{drawn}") for source in sources)
    return FitContext(
        wiring=station.config.wiring_record(),
        device=station.config.device.model_dump(mode="json"),
        fridge_temperature=fridge_temperature,
        sources=sources,
        unstated=unstated,
        drawn=drawn,
    )


def _sources(
    procedure: Procedure, station: OpenStation, cooldown: str
) -> tuple[tuple[Source, ...] | None, tuple[str, ...]]:
    """Sources that the station file states, and what it does not; None where it has no section `uncertainty`."""
    config = station.config
    if config.uncertainty is None:
        return None, ()
    roles = {*needed_roles([procedure], config), "current", "voltage"} & config.roles.keys()
    return stated_sources(
        config.uncertainty,
        {role: config.roles[role].instrument for role in sorted(roles)},
        config.tables,
        station.serials,
        reads_current=config.source_reads_current,
        wiring=config.wiring,
        cooldown=cooldown,
        run=new_batch(),
        today=datetime.now().astimezone().date(),
    )
