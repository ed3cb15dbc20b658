"""The command that lists calibrations."""

import json
import math
from dataclasses import asdict
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.table import Table

from labnis.cli.options import STATION, DataOption, JsonOption, SimulatedOption, StationOption
from labnis.errors import RequestError
from labnis.fit import Estimate, number_text
from labnis.ledger import Calibration, Ledger
from labnis.ledger.of_station import ledger_of
from labnis.station import load_station
from labnis.ui.output import cells, encodable, minute, print_table, say, say_json

__all__ = ["calibrations", "record_of", "shown_estimate", "shown_mark"]


def calibrations(
    station: StationOption = STATION,
    data: DataOption = None,
    cooldown: Annotated[str | None, typer.Option("--cooldown", help="Only this cooldown.")] = None,
    quantity: Annotated[str | None, typer.Option("--quantity", help="Only this quantity.")] = None,
    simulated: SimulatedOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the calibrations in the ledger, each with its cooldown, run, model and code version.

    Those of simulated runs, such as dry runs, are apart.
    """
    ledger = ledger_of(load_station(station), data)
    _check_known(ledger, cooldown, quantity)
    found = ledger.calibrations(cooldown=cooldown, quantity=quantity, simulated=simulated)
    if as_json:
        say_json([record_of(c) for c in found])
        return
    if not found:
        kind, others = ("simulated", "real runs") if simulated else ("real", "simulated ones: --simulated")
        number = len(ledger.calibrations(cooldown=cooldown, quantity=quantity, simulated=not simulated))
        hint = f"; there are {number} of {others}" if number else ""
        say(f"no calibrations of {kind} runs in the ledger {ledger.url}{hint}", err=True)
    for _, batch in groupby(found, key=lambda c: c.batch):
        _show_batch(list(batch))


def shown_estimate(c: Calibration) -> Estimate:
    """The value ± σ, or limit, of a calibration, as it is shown."""
    value, sigma = (math.nan if one is None else one for one in (c.value, c.sigma))
    return Estimate(value, sigma, c.unit, c.systematic, c.limit)


def shown_mark(c: Calibration) -> str:
    """What stands behind the name of a calibration that does not count; empty for one that does."""
    return " (revoked)" if c.revoked is not None else " ?" if c.warnings else ""


def record_of(c: Calibration) -> dict[str, Any]:
    """A calibration with its result in the form of all results in JSON, and source → contribution."""
    contributions = json.loads(c.contributions) if c.contributions else None
    warnings = [c.warnings] if c.warnings else []
    parsed = {name: json.loads(text) if (text := getattr(c, name)) else None for name in ("conditions", "used")}
    return asdict(c) | shown_estimate(c).as_record() | {"contributions": contributions, "warnings": warnings} | parsed


def _check_known(ledger: Ledger, cooldown: str | None, quantity: str | None) -> None:
    """Refuse the name of a cooldown or a quantity that the ledger does not have."""
    cooldowns = [known.name for known in ledger.cooldowns()]
    if cooldown is not None and cooldown not in cooldowns:
        raise RequestError(
            f"--cooldown {cooldown!r}: no such cooldown in the ledger {ledger.url}; "
            f"there are {', '.join(cooldowns) or 'none'}"
        )
    if quantity is None:
        return
    quantities = sorted({c.quantity for c in ledger.calibrations()})
    if quantity not in quantities:
        raise RequestError(
            f"--quantity {quantity!r}: no such quantity in the ledger {ledger.url}; "
            f"there are {', '.join(quantities) or 'none'}"
        )


def _show_batch(batch: list[Calibration]) -> None:
    """The results of one command: cooldown, time and code once, then a row per quantity."""
    first = batch[0]
    when = minute(first.created)
    device = f"{first.device}, " if first.device else ""
    say(f"{device}{first.cooldown}, {when}, labnis {first.code_version}{', SIMULATED' if first.simulated else ''}")
    stated = any(c.systematic is not None for c in batch)
    table = Table("quantity", encodable("value ± σ"), *(("noise", "systematic") if stated else ()), "run", "model")
    for c in batch:
        name = c.quantity.replace("_", " ") + shown_mark(c)
        found = shown_estimate(c)
        known = (math.nan, math.nan) if found.systematic is None else (found.statistical, found.systematic)
        parts = ["" if math.isnan(part) else number_text(part, c.unit) for part in known] if stated else []
        table.add_row(*cells([name, found, *parts, c.run_id, c.model]))
    print_table(table)
    for text in dict.fromkeys(c.warnings for c in batch if c.warnings):
        say(f"in doubt (?): {text}")
    for reason in dict.fromkeys(c.reason for c in batch if c.revoked is not None):
        say(f"revoked: {reason}")
