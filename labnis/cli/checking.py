"""Checking a station without measuring: `check`."""

from contextlib import nullcontext
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from labnis.cli.options import STATION, DataOption, DryRunOption, StationOption, TwinOption
from labnis.experiment.opening import ledger_of, twin_of
from labnis.safety.interlocks import described
from labnis.station import SetpointSpec, StationConfig, check_station, load_station, open_station
from labnis.storage import check_data_root
from labnis.ui.terminal import listed

__all__ = ["check"]


def check(
    station: StationOption = STATION,
    dry_run: DryRunOption = False,
    twin: TwinOption = None,
    open_instruments: Annotated[bool, typer.Option("--open", help="Open the instruments and identify them.")] = False,
    data: DataOption = None,
) -> None:
    """Check the station file, the data folder and the ledger; with --open also the instruments."""
    config = load_station(station)
    check_station(config)
    folder = check_data_root(data or config.data)
    with twin_of(config, twin, None) if dry_run else nullcontext() as simulated:
        Console().print(_roles_table(config, simulated))
        for role, moved in config.setpoints.items():
            typer.echo(f"{role}: {_limits_text(moved)}")
        typer.echo(f"wiring: {listed(config.wiring_record())}")
        typer.echo(f"limits: {listed(config.limits.model_dump())}")
        for interlock in config.interlocks:
            typer.echo(f"interlock {described(interlock, config.limits)}")
        if not config.source_limits_current:
            typer.echo(f"nothing limits the current at {config.bias.instrument}: its role names no compliance")
        typer.echo(f"data: {folder}")
        for line in config.migrated_lines:
            typer.echo(line)
        ledger_of(config, data).close()
        if open_instruments or dry_run:
            with open_station(config, twin=simulated) as opened:
                opened.open(list(config.roles))
                for name, identity in opened.identities().items():
                    typer.echo(f"{name}: {listed(identity)}")
    typer.echo("ok")


def _limits_text(spec: SetpointSpec) -> str:
    """Limits of a set-point, in its unit."""
    low, high = spec.limits
    unit = f" {spec.unit}" if spec.unit else ""
    return f"set-point from {low:g} to {high:g}{unit} at {spec.rate:g}{unit or ' units'}/s, at the end {spec.at_end}"


def _roles_table(config: StationConfig, twin: Any) -> Table:
    table = Table("role", "kind", "instrument", "type", "address", title=escape(str(config.path)), title_justify="left")
    for column in table.columns:
        column.overflow = "fold"  # an address is shown whole
    for role, spec in config.roles.items():
        name = spec.instrument
        address = (config.address(name) or "") if twin is None else twin.addresses.get(name, "stand-in")
        table.add_row(role, spec.kind, escape(name), config.instruments[name]["type"], address)
    return table
