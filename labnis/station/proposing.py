"""Lines of a station file for instruments that were found: their entries, and the roles that they can fill."""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labnis.station.discovering import FoundInstrument
from labnis.station.instruments import refused_visa_library
from labnis.station.packages import import_object
from labnis.station.role_check import channels_in_words, filling_channels, missing_members
from labnis.station.role_spec import KINDS, STANDARD_KINDS

__all__ = ["station_lines"]

# Roles of which a found instrument fills one, the first that it can; others need numbers that nobody else knows.
_ROLES = ("bias", "lockin", "analyzer", "vna", "fridge", "current")
_FURTHER = "  # wiring: and limits: are needed, too (docs/station.md)"
_AMPLIFIER = "V/A: wiring: amplifiers: {preamplifier: {gain: 1.0e+7}}"
_NO_SOURCE = "    # bias: NAME   # every station has a bias source, which none of these is"


def station_lines(found: Sequence[FoundInstrument], visalib: str = "") -> list[str]:
    """Lines of a station file for those that a class of labnis drives: instruments and roles; empty without any.

    Where several instruments can fill a role, the first one does, and the lines of the others are comments. `visalib`
    is the PyVISA library that has found them; empty for the default.
    """
    entries: list[str] = []
    roles: dict[str, list[str]] = {}
    for name, one, kind in _named(found):
        entries += [f"  {name}:", f"    type: {one.type}", f"    address: {json.dumps(one.address)}", *_init(kind, one)]
        role = next((role for role in _ROLES if _fills(kind, role)), None)
        if role is not None:
            roles.setdefault(role, []).append(_role(role, name, kind))
    if not entries:
        return []
    lines = [
        f"    {'# ' if number or role == 'current' else ''}{line}"
        for role in _ROLES
        for number, line in enumerate(roles.get(role, ()))
    ]
    if "bias" not in roles:
        lines = [_NO_SOURCE, *lines]
    library = [f"  visalib: {json.dumps(visalib)}"] if visalib and not refused_visa_library(visalib) else []
    return ["instruments:", *entries, "labnis:", "  roles:", *lines, *library, _FURTHER]


def _named(found: Sequence[FoundInstrument]) -> Iterator[tuple[str, FoundInstrument, type]]:
    """Those with a class, with a name for each and the class."""
    taken: dict[str, int] = {}
    for one in found:
        if one.type is None:
            continue
        module = one.type.split(".")[1]
        taken[module] = taken.get(module, 0) + 1
        yield module if taken[module] == 1 else f"{module}_{taken[module]}", one, import_object(one.type)


def _init(kind: type, one: FoundInstrument) -> list[str]:
    """The line of the channel that an instrument is opened with, and of a certificate; none without either."""
    channel, told = _own_channel(kind), []
    options: dict[str, Any] = {}
    if channel is not None:
        options["channel"] = channel
        told.append("this channel by default, see docs/instruments.md")
    if one.certificate:
        options["certificate"] = json.dumps(one.certificate)
        told.append("compare the certificate at the fridge's computer")
    listed = ", ".join(f"{key}: {value}" for key, value in options.items())
    return [f"    init: {{{listed}}}   # {'; '.join(told)}"] if options else []


def _own_channel(kind: type) -> Any:
    """Default of the `channel` of an instrument of the class `kind`; None if it has none."""
    starts: list[Mapping[str, inspect.Parameter]] = [
        inspect.signature(vars(base)["__init__"]).parameters for base in kind.__mro__[:-1] if "__init__" in vars(base)
    ]
    return next((start["channel"].default for start in starts if "channel" in start), None)


def _fills(kind: type, role: str) -> bool:
    """Whether an instrument of the class `kind`, or its channels, can fill the `role`."""
    protocol = KINDS[STANDARD_KINDS[role]].protocol
    return not missing_members(kind, protocol) or bool(filling_channels(kind, protocol))


def _role(role: str, name: str, kind: type) -> str:
    """The line of a `role` that the instrument `name` fills."""
    protocol = KINDS[STANDARD_KINDS[role]].protocol
    if missing_members(kind, protocol):
        names = filling_channels(kind, protocol)
        told = channels_in_words(names).replace("`", "").removeprefix("channel: ")
        return f"{role}: {{instrument: {name}, channel: {names[0]}}}   # {told}, where the model has it"
    amplified = f"{{instrument: {name}, amplifier: preamplifier}}"
    if role == "lockin":
        return f"{role}: {amplified}   # {_AMPLIFIER}"
    told = f"   # where the source does not read it; {amplified} behind an amplifier" if role == "current" else ""
    return f"{role}: {name}{told}"
