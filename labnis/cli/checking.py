"""Checking a station without measuring: `check`."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labnis.cli.options import STATION, DataOption, DryRunOption, JsonOption, StationOption, TwinOption
from labnis.errors import InstrumentFault, InterlockError
from labnis.ledger.of_station import ledger_of
from labnis.safety.interlocks import Interlocks, described
from labnis.station import (
    OpenStation,
    RoleReading,
    SetpointSpec,
    StationConfig,
    check_station,
    load_station,
    open_station,
    read_roles,
)
from labnis.station.explaining import UNITS
from labnis.storage import check_data_root
from labnis.ui.compliance import compliance_text
from labnis.ui.output import cells, listed, print_table, say, say_json

__all__ = ["check"]


def check(
    station: StationOption = STATION,
    dry_run: DryRunOption = False,
    twin: TwinOption = None,
    open_instruments: Annotated[
        bool, typer.Option("--open", help="Open the instruments, read every role once and compare it with its limits.")
    ] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the station file, the data folder and the ledger; with --open also the instruments.

    They keep their settings, outputs and sweeps. What opening sends besides queries, such as the format of data at the
    remote interface, is listed in docs/instruments.md.
    """
    config = load_station(station)
    check_station(config)
    folder = check_data_root(data or config.data)
    identities: dict[str, Any] = {}
    readings: list[RoleReading] = []
    violations: list[str] = []
    simulated_station: bool | None = None  # without open instruments it is not known
    with _twin(config, twin) if dry_run else nullcontext() as simulated:
        addresses = _addresses(config, simulated)
        if not as_json:
            _show(config, addresses, folder)
        ledger = ledger_of(config, data)
        ledger.close()
        if open_instruments or dry_run:
            with open_station(config, twin=simulated) as opened:
                opened.open(list(config.roles))
                identities, simulated_station = opened.identities(), opened.is_twin
                readings, violations = list(read_roles(opened, config.roles)), _violations(config, opened)
    failed = [f"{one.role}: {one.problem}" for one in readings if one.problem]
    if as_json:
        record = _record(config, addresses, folder, ledger.url)
        opened_record = {"identities": identities, "simulated": simulated_station, "readings": readings}
        say_json(record | opened_record | {"violations": violations, "ok": not failed and not violations})
    else:
        for name, identity in identities.items():
            say(f"{name}: {listed(identity)}")
        _show_readings(readings)
    if violations:
        raise InterlockError("; ".join([*violations, *failed]))
    if failed:
        raise InstrumentFault("; ".join(failed))
    if not as_json:
        say("ok, with SIMULATED instruments" if simulated_station else "ok")


def _violations(config: StationConfig, opened: OpenStation) -> list[str]:
    """What the interlocks do not allow now, of those that need no bias."""
    found = [
        Interlocks([one], opened.roles, opened.clock, stale_after=math.inf).check(bias_is_on=False)
        for one in config.interlocks
    ]
    return [violation.reason for violation in found if violation is not None]


def _show_readings(readings: Sequence[RoleReading]) -> None:
    if not readings:
        return
    table = Table("role", "instrument", "reads", "allowed", "")
    for one in readings:
        value = "" if one.value is None else f"{one.value:.6g} {one.unit}"
        table.add_row(*cells([one.role, one.instrument, value, one.allowed, one.problem or one.remark]))
    print_table(table)


def _twin(config: StationConfig, truth: Path | None) -> AbstractContextManager[Any]:
    from labnis.experiment.twin import twin_of  # noqa: PLC0415  # the simulated fridge is imported only to use it

    return twin_of(config, truth, None)


def _addresses(config: StationConfig, simulated: Any) -> dict[str, str]:
    """Role → address of its instrument: of the station, or of the simulated fridge."""
    if simulated is None:
        return {role: config.address(spec.instrument) or "" for role, spec in config.roles.items()}
    return {role: simulated.addresses.get(spec.instrument, "stand-in") for role, spec in config.roles.items()}


def _record(config: StationConfig, addresses: dict[str, str], folder: Path, ledger: str) -> dict[str, Any]:
    """What `_show` prints, for JSON."""
    return {
        "station": str(config.path),
        "roles": {
            role: {
                "kind": spec.kind,
                "instrument": spec.instrument,
                "type": config.instruments[spec.instrument]["type"],
                "address": addresses[role],
            }
            for role, spec in config.roles.items()
        },
        "setpoints": {
            role: {"limits": spec.limits, "unit": spec.unit, "rate": spec.rate, "at_end": spec.at_end}
            for role, spec in config.setpoints.items()
        },
        "wiring": config.wiring_record(),
        "limits": config.limits.model_dump(),
        "interlocks": [described(interlock, config.limits) for interlock in config.interlocks],
        "source_limits_current": config.source_limits_current,
        "compliance": compliance_text(config),
        "uncertainty_stated": config.uncertainty is not None,
        "data": str(folder),
        "ledger": ledger,
        "migrated_lines": config.migrated_lines,
    }


def _show(config: StationConfig, addresses: dict[str, str], folder: Path) -> None:
    say(config.path)
    table = Table("role", "kind", "instrument", "type", "address")
    for role, spec in config.roles.items():
        kind = config.instruments[spec.instrument]["type"]
        table.add_row(*cells([role, spec.kind, spec.instrument, kind, addresses[role]]))
    print_table(table)
    for role, moved in config.setpoints.items():
        say(f"{role}: {_limits_text(moved)}")
    say(f"wiring: {listed(config.wiring_record(), UNITS)}")
    say(f"limits: {listed(config.limits.model_dump(), UNITS)}")
    for interlock in config.interlocks:
        say(f"interlock {described(interlock, config.limits)}")
    say(compliance_text(config))
    if config.uncertainty is None:
        say("uncertainty: nothing is stated of the instruments: σ of the results will be that of the noise")
    say(f"data: {folder}")
    for line in config.migrated_lines:
        say(line)


def _limits_text(spec: SetpointSpec) -> str:
    """Limits of a set-point, in its unit."""
    low, high = spec.limits
    unit = f" {spec.unit}" if spec.unit else ""
    return f"set-point from {low:g} to {high:g}{unit} at {spec.rate:g}{unit or ' units'}/s, at the end {spec.at_end}"
