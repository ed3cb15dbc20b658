"""The content of station.yaml: QCoDeS's `instruments:` section and the `labnis:` section.

Everything is checked before any instrument is touched: an unknown key, a wrong type or an impossible limit is a
ConfigurationError that names file, line, key, what was found and what is allowed.
"""

import keyword
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr, SecretStr, ValidationError

from drivers.wiring import Section, Wiring
from labnis.accuracy import AccuracyTable
from labnis.errors import ConfigurationError
from labnis.station.document import Document, Location, read_document
from labnis.station.explaining import explained
from labnis.station.instruments import check_instruments, refuse_initial_values
from labnis.station.lock_names import lock_name_of_address
from labnis.station.old_keys import migrated
from labnis.station.packages import refusal_of, use_packages
from labnis.station.role_spec import (
    KINDS,
    AmplifiedSpec,
    BiasSpec,
    MeterSpec,
    RoleSpec,
    SetpointSpec,
    StageSpec,
    spec_input,
)
from labnis.station.sections import Device, Interlock, LabnisSection, Limits
from labnis.station.uncertainty_check import check_uncertainty, tables_of
from labnis.station.uncertainty_section import Uncertainty

__all__ = ["GUARDIAN_ACTS_WITHIN", "StationConfig", "load_station"]

GUARDIAN_ACTS_WITHIN = 5.0
"""Time (s) that a guardian has to open the source and the watchdog, and to feed it."""

TAKEN = ("acquire", "clock", "get", "players", "self", "wiring")
"""Names that roles cannot have, because `drivers.roles.Roles` uses them."""


class StationConfig(Section):
    """A checked station file. Folders and files in it are resolved relative to the station file.

    Attributes
    ----------
    path
        The station file.
    instruments
        QCoDeS's section: instrument name → type, address, init, parameters, …
    roles
        Role → its specification.
    device
        The device.
    packages
        The lab's own packages; `type:` and procedures may refer to them.
    data
        Folder that runs are written to.
    ledger
        SQLAlchemy URL of the ledger (it may contain a password: use `get_secret_value()`, and never show it); None is
        ledger.sqlite in the data folder.
    valid_for
        Quantity → how long a calibration of it is valid; any other one until it is superseded.
    visalib
        PyVISA library for real runs; None is PyVISA's own choice.
    twin
        Truth file of the twin; None if this station has none.
    uncertainty
        What is stated of instruments and wiring; None if nothing is.
    tables
        Instrument name → its accuracy table.
    migrated_lines
        New lines that replace keys of an earlier version; empty if the file has none.

    """

    path: Path
    instruments: dict[str, dict[str, Any]]
    roles: Mapping[str, RoleSpec]
    wiring: Wiring
    limits: Limits
    interlocks: tuple[Interlock, ...]
    device: Device
    packages: tuple[str, ...]
    data: Path
    ledger: SecretStr | None
    valid_for: Mapping[str, timedelta]
    visalib: str | None
    twin: Path | None
    uncertainty: Uncertainty | None
    tables: Mapping[str, AccuracyTable]
    migrated_lines: tuple[str, ...]
    _document: Document = PrivateAttr()

    def address(self, name: str) -> str | None:
        """VISA address of the instrument `name`, as in the file."""
        address: str | None = self.instruments[name].get("address")
        return address

    @property
    def bias(self) -> BiasSpec:
        """The role bias."""
        spec = self.roles["bias"]
        assert isinstance(spec, BiasSpec)  # noqa: S101  # for mypy: `load_station` has checked it
        return spec

    @property
    def source_reads_current(self) -> bool:
        """Whether no other instrument, and no other part or parameter of the source's own, is named for the current."""
        current = self.roles.get("current")
        if current is None:
            return True
        same_part = current.instrument == self.bias.instrument and current.channel in (None, self.bias.channel)
        return same_part and not current.replaces_methods

    @property
    def source_limits_current(self) -> bool:
        """Whether the compliance among the limits is written to the source; a source by parameters may have none."""
        return self.bias.level is None or self.bias.compliance is not None

    @property
    def setpoints(self) -> dict[str, SetpointSpec]:
        """Roles that are moved, besides the bias."""
        return {role: spec for role, spec in self.roles.items() if isinstance(spec, SetpointSpec)}

    def wiring_record(self) -> dict[str, Any]:
        """The wiring as plain JSON values."""
        return self.wiring.model_dump(mode="json")

    @property
    def public_text(self) -> str:
        """The station file as it was read, without the ledger's URL, which may contain a password."""
        return self._document.text_without(("labnis", "ledger"))

    def error(self, location: Location, problem: str) -> ConfigurationError:
        """Build the error for a `problem` at `location` in the file."""
        return self._document.error(location, problem)


def load_station(path: Path) -> StationConfig:
    """Read and check the station file at `path`; no instrument is touched and nothing is imported.

    Afterwards the lab's packages that it lists can be imported.

    Raises
    ------
    ConfigurationError
        Naming file, line, key, what was found and what is allowed.

    """
    document = read_document(path)
    _check_top(document)
    _check_old_reading(document)
    written, lines = migrated(document.data["labnis"], path)
    try:
        section = LabnisSection.model_validate(written)
    except ValidationError as error:
        raise explained(document, written, ("labnis",), LabnisSection, error) from error
    folder = path.resolve().parent
    _check_section(document, section, folder)
    check_instruments(document, section.packages)
    roles = {role: _role(document, role, value) for role, value in section.roles.items()}
    if "bias" not in roles:
        raise document.error(("labnis", "roles", "bias"), "missing; a station has a bias source")
    named = {role: spec.amplifier for role, spec in roles.items() if isinstance(spec, AmplifiedSpec)}
    amplifiers = {role: name for role, name in named.items() if name is not None}
    config = StationConfig(
        path=path,
        instruments=document.data["instruments"],
        roles=roles,
        wiring=section.wiring.model_copy(update={"role_amplifiers": amplifiers}),
        limits=section.limits,
        interlocks=(*section.limits.fridge_interlocks(), *section.interlocks),
        device=section.device,
        packages=section.packages,
        data=folder / section.data,
        ledger=section.ledger,
        valid_for={quantity: timedelta(hours=hours) for quantity, hours in section.valid_for.items()},
        visalib=section.visalib,
        twin=folder / section.twin.file if section.twin else None,
        uncertainty=section.uncertainty,
        tables=tables_of(document, section.uncertainty, section.wiring, folder),
        migrated_lines=lines,
    )
    config._document = document
    _check_roles(config)
    _check_current(config)
    _check_watched(config, section.interlocks)
    _check_watchdog(config)
    check_uncertainty(config)
    use_packages(section.packages, folder)
    return config


def _check_watchdog(config: StationConfig) -> None:
    """Check that the watchdog is an instrument of the file, and leaves the guardian time to act first."""
    watchdog = config.limits.watchdog
    if watchdog is None:
        return
    where: Location = ("labnis", "limits", "watchdog")
    if watchdog.instrument not in config.instruments:
        defined = ", ".join(config.instruments)
        raise config.error((*where, "instrument"), f"no instrument {watchdog.instrument!r}; defined are {defined}")
    shortest = config.limits.unresponsive + GUARDIAN_ACTS_WITHIN
    if watchdog.timeout < shortest:
        raise config.error(
            (*where, "timeout"),
            f"found {watchdog.timeout:g} s; allowed are {shortest:g} s and more, because the guardian acts "
            f"limits.unresponsive ({config.limits.unresponsive:g} s) after a run that does not respond, and ramps",
        )


def _check_top(document: Document) -> None:
    allowed = ("instruments", "labnis")
    for key in document.data:
        if key not in allowed:
            raise document.error((key,), f"unknown key; allowed are {', '.join(allowed)}")
    for key in allowed:
        found = document.data.get(key)
        if key not in document.data:
            raise document.error((key,), f"missing; a station file has the keys {', '.join(allowed)}")
        if not isinstance(found, dict) or not found:
            raise document.error((key,), f"found {found!r}; a mapping with at least one key is needed")


def _check_old_reading(document: Document) -> None:
    """Check a key of earlier files on which others depend."""
    section = document.data["labnis"]
    wiring, roles = section.get("wiring"), section.get("roles")
    if not isinstance(wiring, dict) or not isinstance(roles, dict) or "current_reading" not in wiring:
        return
    where: Location = ("labnis", "wiring", "current_reading")
    if wiring["current_reading"] not in ("source", "amplifier"):
        raise document.error(where, f"found {wiring['current_reading']!r}; allowed are 'source' or 'amplifier'")
    if wiring["current_reading"] == "amplifier" and "lockin" not in roles:
        raise document.error(
            where,
            "found 'amplifier', which is read through the lock-in, but labnis.roles has no lockin; name one, or name "
            "the instrument that reads the current as role current",
        )


def _check_section(document: Document, section: LabnisSection, folder: Path) -> None:
    """Check what needs neither roles nor instruments."""
    for number, name in enumerate(section.packages):
        if refusal := refusal_of(name, folder):
            raise document.error(("labnis", "packages", number), refusal)
    if "role_amplifiers" in section.wiring.model_fields_set:
        raise document.error(("labnis", "wiring", "role_amplifiers"), "unknown key; a role names its amplifier itself")
    if section.ledger is not None and "://" not in section.ledger.get_secret_value():
        raise document.error(
            ("labnis", "ledger"),
            "not a database URL; allowed are SQLAlchemy URLs such as sqlite:////data/ledger.sqlite",
        )


def _role(document: Document, role: str, value: Any) -> RoleSpec:
    where: Location = ("labnis", "roles", role)
    if not role.isidentifier() or role.startswith("_") or role in TAKEN or keyword.iskeyword(role):
        raise document.error(
            where,
            "a role's name is made of letters, digits and _, starts with a letter, is no keyword of Python, and is "
            f"none of {', '.join(TAKEN)}",
        )
    given = spec_input(role, value)
    if isinstance(given, str):
        raise document.error(where, given)
    model = KINDS[given["kind"]].spec
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise explained(document, given, where, model, error) from error


def _check_roles(config: StationConfig) -> None:
    """Check that what the roles refer to is there, and that no instrument moves when it is opened."""
    for role, spec in config.roles.items():
        where: Location = ("labnis", "roles", role)
        if spec.instrument not in config.instruments:
            defined = ", ".join(config.instruments)
            raise config.error(where, f"no instrument {spec.instrument!r}; defined are {defined}")
        amplifiers = config.wiring.amplifiers
        if isinstance(spec, AmplifiedSpec) and spec.amplifier is not None and spec.amplifier not in amplifiers:
            raise config.error(
                (*where, "amplifier"),
                f"no amplifier {spec.amplifier!r}; labnis.wiring.amplifiers has {', '.join(amplifiers) or 'none'}",
            )
        if isinstance(spec, BiasSpec | SetpointSpec):
            refuse_initial_values(config._document, spec.instrument, role)
    for name, amplifier in config.wiring.amplifiers.items():
        if amplifier.instrument is not None and amplifier.instrument not in config.instruments:
            raise config.error(
                ("labnis", "wiring", "amplifiers", name, "instrument"),
                f"no instrument {amplifier.instrument!r}; defined are {', '.join(config.instruments)}",
            )
    _check_moves(config)


def _check_moves(config: StationConfig) -> None:
    """Refuse two roles that move the same: the limits of either would not hold for the other."""
    moving: dict[str, RoleSpec] = {"bias": config.bias, **config.setpoints}
    for number, (role, spec) in enumerate(moving.items()):
        for other, its in list(moving.items())[:number]:
            where: Location = ("labnis", "roles", role)
            if spec.instrument != its.instrument:
                if _are_one(config, spec.instrument, its.instrument):
                    raise config.error(
                        where,
                        f"{spec.instrument} and {its.instrument}, which the role {other} uses, are one instrument "
                        f"({config.address(spec.instrument)}); name one entry of instruments: in both roles",
                    )
            elif (shared := spec.shares(its)) is not None:
                what = f"{shared} of {spec.instrument}" if shared else f"the instrument {spec.instrument} as a whole"
                whole = "".join(f"; {one} names no channel" for one in (role, other) if moving[one].paths == [""])
                raise config.error(
                    where,
                    f"uses {what}, as the role {other} does, so that the limits of {other} would not hold; roles that "
                    f"move need different parameters or channels{whole}",
                )


def _are_one(config: StationConfig, first: str, second: str) -> bool:
    """Whether two entries of `instruments:` are the same hardware."""
    addresses = [(config.address(name) or "").upper().split("::") for name in (first, second)]
    hosts = [parts[1] for parts in addresses if parts[0].startswith("TCPIP") and len(parts) > 1]
    # The text tells different hosts apart: most commands start without PyVISA, which parses addresses.
    if len(hosts) == len(addresses) and hosts[0] != hosts[1]:
        return False
    return bool(_hardware(config, first) == _hardware(config, second))


def _hardware(config: StationConfig, name: str) -> Any:
    """What tells the instrument `name` from others: address and options (a slot or channel), else its name."""
    address = config.address(name)
    return (lock_name_of_address(address), config.instruments[name].get("init")) if address else name


def _check_current(config: StationConfig) -> None:
    """Check that some instrument reads the current of the device."""
    if not config.source_reads_current:
        return
    if config.wiring.divider > 1:
        raise config.error(
            ("labnis", "wiring", "divider"),
            f"found {config.wiring.divider}: behind it the bias source would measure the divider's own current; name "
            "the instrument that reads the current of the device as role current, with its amplifier",
        )
    if config.bias.level is not None and config.bias.current is None:
        raise config.error(
            ("labnis", "roles", "bias"),
            "no instrument reads the current; name another instrument, or a parameter (parameter: …), in the role "
            "current, or the parameter of the bias source as current",
        )
    if isinstance(current := config.roles.get("current"), MeterSpec) and current.amplifier is not None:
        raise config.error(
            ("labnis", "roles", "current", "amplifier"),
            "no amplifier is in front of the source's own current reading; name the parameter that reads the "
            "amplifier's output (parameter: …), or the instrument that does",
        )


def _check_watched(config: StationConfig, interlocks: Sequence[Interlock]) -> None:
    """Check that the fridge has a thermometer where it needs one, and that the `interlocks` of the file can be read."""
    for key in ("fridge_pause", "fridge_abort"):
        if getattr(config.limits, key) is not None and "fridge" not in config.roles:
            raise config.error(
                ("labnis", "limits", key), "needs a thermometer, but labnis.roles has no fridge; name one"
            )
    for role, spec in config.setpoints.items():
        if isinstance(spec, StageSpec) and "fridge" not in config.roles:
            raise config.error(
                ("labnis", "roles", role),
                "needs the thermometer of the stage, but labnis.roles has no fridge; name one",
            )
    for number, interlock in enumerate(interlocks):
        where: Location = ("labnis", "interlocks", number, "watch")
        if interlock.role not in config.roles:
            raise config.error(where, f"needs the role {interlock.role}, but labnis.roles has none; name one")
        quantities = KINDS[config.roles[interlock.role].kind].quantities
        if interlock.quantity not in quantities:
            allowed = ", ".join(f"{interlock.role}.{quantity}" for quantity in quantities) or "none of this role"
            raise config.error(where, f"found {interlock.watch!r}; allowed are {allowed}")
