"""What was stated of the bias line and the device of a run, stated otherwise for a new fit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import xarray
from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from drivers.wiring import Wiring
from labnis.errors import RequestError
from labnis.experiment.known_values import known_from_texts
from labnis.fit import FitContext, FitResult, number_text
from labnis.fit.effects import with_line
from labnis.station.sections import Device

__all__ = ["RESTATED", "restated", "restated_from_texts", "says_statements", "with_statements_told"]

_STATED = "is stated for this fit"

_LINE = {"series_resistance": "ohm", "divider": "1"}
_DEVICE = ("junctions", "resonator")
_ISLAND = {"volume": "m^3", "electron_phonon": "W/(m^3 K^5)", "kapitza": "W/K^4"}
RESTATED = (*_LINE, *_DEVICE, *(f"island.{name}" for name in _ISLAND))
"""Names of what can be stated otherwise."""


def restated_from_texts(texts: Sequence[str]) -> dict[str, Any]:
    """Name → value of texts like "series_resistance=2.1kohm" or "junctions=[8, 2]"; RequestError for another one."""
    units = {**_LINE, **{f"island.{name}": unit for name, unit in _ISLAND.items()}}
    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if name in found:
            raise RequestError(f"--set {text!r}: {name} is stated twice; give it once")
        if name in units:
            found |= known_from_texts([text], [], units, option="--set").fixed
        elif name in _DEVICE:
            found[name] = _plain(text, value)
        else:
            raise RequestError(f"--set {text!r}: {name!r} cannot be stated; allowed are {', '.join(RESTATED)}")
    return found


def _plain(text: str, value: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(value)
    except YAMLError as error:
        raise RequestError(f"--set {text!r}: cannot be read: {str(error).splitlines()[0]}") from error


def restated(
    data: xarray.Dataset, context: FitContext, stated: Mapping[str, Any]
) -> tuple[xarray.Dataset, FitContext, dict[str, str]]:
    """Data and context as they are where `stated` is true, and a statement on each value that is another one.

    Raises
    ------
    RequestError
        A name, or value, that cannot be stated.

    """
    if unknown := [name for name in stated if name not in RESTATED]:
        raise RequestError(f"{', '.join(unknown)} cannot be stated; allowed are {', '.join(RESTATED)}")
    line = _line({name: stated[name] for name in _LINE if name in stated})
    before = {"series_resistance": context.series_resistance, "divider": context.divider}
    device = _device(context.device, {name: value for name, value in stated.items() if name not in _LINE})
    pairs = {name: tuple(number_text(one[name], _LINE[name]) for one in (line, before)) for name in line}
    pairs |= {name: (_at(device, name), _at(context.device, name)) for name in stated if name not in _LINE}
    told = {
        name: f"{new} {_STATED}, {'nothing' if old is None else old} was for the run"
        for name, (new, old) in pairs.items()
        if new != old
    }
    data = with_line(data, context, **(before | line))
    return data, replace(context, wiring={**context.wiring, **line}, device=device), told


def _line(stated: Mapping[str, Any]) -> dict[str, float]:
    try:
        checked = Wiring.model_validate(dict(stated))
    except ValidationError as error:
        raise _refused(error) from error
    return {name: float(getattr(checked, name)) for name in stated}


def _device(own: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a device with other statements."""
    found: dict[str, Any] = dict(own)
    for name, value in stated.items():
        section, _, key = name.rpartition(".")
        if section:
            found[section] = {**(found.get(section) or {}), key: value}
        else:
            found[key] = value
    try:
        checked = Device.model_validate(found)
    except ValidationError as error:
        raise _refused(error) from error
    return checked.model_dump(mode="json") if stated else dict(own)


def _refused(error: ValidationError) -> RequestError:
    first: Any = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))
    return RequestError(f"{where} cannot be stated so: {first['msg'].removeprefix('Value error, ')}")


def _at(device: Mapping[str, Any], name: str) -> Any:
    section, _, key = name.rpartition(".")
    return ((device.get(section) or {}) if section else device).get(key)


def says_statements(fit: FitResult) -> bool:
    """Whether something was stated for this fit otherwise than for its run."""
    return any(_STATED in fit.assumed.get(name, "") for name in RESTATED)


def with_statements_told(fit: FitResult, told: Mapping[str, str], priors: Mapping[str, FitResult]) -> FitResult:
    """A fit that says what was stated for it, with a warning where one of its `priors` was made without that."""
    other = [
        f"it needs the {need} fit, made with what was stated of {', '.join(missing)} before: name its run, too"
        for need, prior in priors.items()
        if (missing := [name for name, text in told.items() if prior.assumed.get(name) != text])
    ]
    return replace(fit, assumed={**fit.assumed, **told}, warnings=(*fit.warnings, *other)) if told else fit
