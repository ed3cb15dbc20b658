"""The station's instruments as descriptions for the simulated fridge."""

from labnis.station.amplifier import instruments_of
from labnis.station.checking import check_station
from labnis.station.config import StationConfig
from labnis.station.connecting import instrument_class
from labnis.station.role_spec import RoleSpec
from sim_instruments import SimulatedInstrument, SimulatedRole

__all__ = ["simulated_instruments"]


def simulated_instruments(config: StationConfig, *, without_role: bool = False) -> dict[str, SimulatedInstrument]:
    """Instrument → names of its class and base classes, and its roles; for all with a role, and amplifiers.

    Of one `without_role`, if these are wanted, only its own class is known: it is not imported.

    Raises
    ------
    ConfigurationError
        A class cannot be imported, or cannot fill its role, although a stand-in could; see `check_station`.

    """
    check_station(config)
    named = instruments_of(config.wiring, config.roles.values())
    amplifies = {stated.instrument: name for name, stated in config.wiring.amplifiers.items()}
    found = {
        name: SimulatedInstrument(
            name,
            tuple(kind.__name__ for kind in instrument_class(config, name).__mro__),
            tuple(_role(role, spec, config) for role, spec in config.roles.items() if spec.instrument == name),
            amplifies.get(name),
        )
        for name in named
    }
    others = {
        name: SimulatedInstrument(name, (entry["type"].rpartition(".")[-1],))
        for name, entry in config.instruments.items()
        if without_role and name not in found
    }
    return found | others


def _role(role: str, spec: RoleSpec, config: StationConfig) -> SimulatedRole:
    """The role; its channel is by default that of the instrument itself, as its `init` says."""
    options = spec.model_dump(exclude={"instrument", "kind", "channel", "amplifier"}, exclude_none=True)
    own = (config.instruments[spec.instrument].get("init") or {}).get("channel")
    channel = own if spec.channel is None else spec.channel
    return SimulatedRole(role, spec.kind, channel, getattr(spec, "amplifier", None), options)
