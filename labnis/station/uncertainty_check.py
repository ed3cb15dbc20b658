"""What the section `uncertainty` of station.yaml refers to: accuracy tables, and roles on which its keys act.

A table is looked for in the folder `accuracy` beside the station file, then among the drivers'; "unsourced/NAME" is one
of figures that nobody has read on paper.
"""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.wiring import Wiring
from labnis.accuracy import AccuracyTable, AccuracyTableError, load_table
from labnis.station.document import Document, Location
from labnis.station.uncertainty import PARTS
from labnis.station.uncertainty_section import InstrumentUncertainty, Uncertainty

if TYPE_CHECKING:  # config imports this module
    from labnis.station.config import StationConfig

__all__ = ["accuracy_table", "check_uncertainty", "tables_of"]

_WHERE: Location = ("labnis", "uncertainty")


def accuracy_table(name: str, folder: Path) -> AccuracyTable:
    """Return the table `name` of the lab, from `folder`/accuracy, or else that of the drivers.

    Raises
    ------
    AccuracyTableError
        There is none, or it cannot be used.

    """
    own = folder / "accuracy" / f"{name}.yaml"
    if own.is_file():
        return load_table(own)
    shipped = Path(str(files("drivers"))) / "accuracy"
    known_files = {path.relative_to(shipped).with_suffix("").as_posix(): path for path in shipped.rglob("*.yaml")}
    found = known_files.get(name)
    if found is None:
        known = ", ".join(sorted(known_files))
        raise AccuracyTableError(f"no accuracy table {name!r} in {own.parent}, nor among those of the drivers: {known}")
    return load_table(found)


def tables_of(
    document: Document, uncertainty: Uncertainty | None, wiring: Wiring, folder: Path
) -> dict[str, AccuracyTable]:
    """Return the accuracy tables of the instruments of a station file, in this folder.

    Raises
    ------
    ConfigurationError
        An instrument or an amplifier is not in the file, or a table cannot be used.

    """
    found: dict[str, AccuracyTable] = {}
    if uncertainty is None:
        return found
    where: Location = ("labnis", "uncertainty", "instruments")
    defined = ", ".join(document.data["instruments"])
    for name, stated in uncertainty.instruments.items():
        if name not in document.data["instruments"]:
            raise document.error((*where, name), f"no instrument {name!r}; defined are {defined}")
        if stated.accuracy is None:
            continue
        try:
            found[name] = accuracy_table(stated.accuracy, folder)
        except AccuracyTableError as error:
            raise document.error((*where, name, "accuracy"), str(error)) from error
    reference = uncertainty.frequency_reference
    for name in reference.shared if reference is not None else ():
        if name not in document.data["instruments"]:
            where = ("labnis", "uncertainty", "frequency_reference", "shared")
            raise document.error(where, f"no instrument {name!r}; defined are {defined}")
    for name in uncertainty.wiring.amplifiers:
        if name not in wiring.amplifiers:
            where, known = ("labnis", "uncertainty", "wiring", "amplifiers", name), ", ".join(wiring.amplifiers)
            raise document.error(where, f"no amplifier {name!r}; under labnis.wiring.amplifiers are {known or 'none'}")
    return found


def check_uncertainty(config: "StationConfig") -> None:
    """Refuse what is stated of nothing: a key of an instrument without a role on which it acts, for example.

    Raises
    ------
    ConfigurationError
        The message has file, line and key, and what can be stated.

    """
    if (stated := config.uncertainty) is None:
        return
    for name, own in stated.instruments.items():
        _check_instrument(config, name, own)
    _check_wiring(config, stated)
    _check_reference(config, stated)
    for part, limit, largest, unit in (
        ("voltage_zero", "maximum_bias", config.limits.maximum_bias, "V"),
        ("current_zero", "compliance", config.limits.compliance, "A"),
    ):
        drift = getattr(stated.drift, part)
        if drift is not None and drift.figure > largest:
            raise config.error(
                (*_WHERE, "drift", part),
                f"found {drift.figure:g}, more than limits.{limit} ({largest:g} {unit}); a zero drifts by less",
            )
    if stated.fridge is not None and "fridge" not in config.roles:
        raise config.error((*_WHERE, "fridge"), "no instrument is the thermometer; name one as the role fridge")


def _check_instrument(config: "StationConfig", name: str, own: InstrumentUncertainty) -> None:
    """Refuse keys that act on no role of the instrument `name`."""
    roles = [role for role, spec in config.roles.items() if spec.instrument == name]
    parts = {part: lasts for role in roles for part, (*_, lasts) in PARTS.get(role, {}).items()}
    lasting = [part for part, lasts in parts.items() if lasts == "calibration"]
    if name in dict(_readers(config)):
        lasting.insert(0, "accuracy")
    needs = dict.fromkeys([*lasting, *parts], "") | ({"due": ""} if roles else {})
    if lasting:
        needs["calibrated"] = " or ".join(lasting)
    if "accuracy" in lasting:
        needs["temperature"] = "accuracy"
    allowed = ", ".join(key for key in InstrumentUncertainty.model_fields if key in needs) or "none"
    for key in [key for key, value in own if value is not None]:
        if key not in needs:
            used = f"which is used as {', '.join(roles)}" if roles else "which no role uses"
            others = ", ".join(f"{role}: {spec.instrument}" for role, spec in config.roles.items())
            unused = "" if roles else f". The roles are {others}; does one of them name another instrument?"
            raise config.error(
                (*_WHERE, "instruments", name, key), f"has no effect on {name}, {used}; its keys are {allowed}{unused}"
            )
        if needs[key] and not any(getattr(own, part) is not None for part in needs[key].split(" or ")):
            raise config.error((*_WHERE, "instruments", name, key), f"has no effect without {needs[key]} of {name}")


def _readers(config: "StationConfig") -> Iterator[tuple[str, str | None]]:
    """Instruments that read voltage and current of the device, each with the amplifier that it reads."""
    bias, reads_current = config.bias.instrument, config.source_reads_current
    for quantity, by_source in (("voltage", False), ("current", reads_current)):
        spec = config.roles.get(quantity)
        if spec is None or by_source or (quantity == "voltage" and spec.instrument == bias):
            yield bias, None
        else:
            yield spec.instrument, config.wiring.role_amplifiers.get(quantity)


def _check_wiring(config: "StationConfig", stated: Uncertainty) -> None:
    where: Location = (*_WHERE, "wiring")
    line, value = stated.wiring.series_resistance, config.wiring.series_resistance
    if line is not None and not line.relative and line.figure > value:
        raise config.error(
            (*where, "series_resistance"),
            f"found {line.figure:g} ohm, more than the resistance itself (labnis.wiring.series_resistance is "
            f"{value:g} ohm); allowed are figures up to that",
        )
    acting = [name for _, name in _readers(config) if name is not None]
    for name in stated.wiring.amplifiers:
        if name not in acting:
            raise config.error(
                (*where, "amplifiers", name),
                f"has no effect: no role current or voltage reads through {name}; those that do are "
                f"{', '.join(acting) or 'none'}. In front of a lock-in it belongs to the gain of that.",
            )


def _check_reference(config: "StationConfig", stated: Uncertainty) -> None:
    """A reference is that of all analyzers: which of two errs with it cannot be said by one of them."""
    if stated.frequency_reference is None:
        return
    shared = stated.frequency_reference.shared
    analyzers = list(
        dict.fromkeys(config.roles[role].instrument for role in ("vna", "analyzer") if role in config.roles)
    )
    if sorted(shared) != sorted(analyzers):
        raise config.error(
            (*_WHERE, "frequency_reference", "shared"),
            f"found {', '.join(shared) or 'none'}; the instruments that share it are those of the roles vna and "
            f"analyzer, all of them: {', '.join(analyzers) or 'none here'}",
        )
