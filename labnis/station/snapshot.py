"""QCoDeS's snapshot of the open instruments, in which one wrong answer is not taken for a setting.

An answer in a snapshot has no request to be compared with. So all parameters are read twice, and those that differ a
third time: settings are what two readings agree on, and of a reading that changes the median is stored, with all three.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from qcodes.instrument import InstrumentBase
from qcodes.station import Station
from qcodes.utils import NumpyJSONEncoder

from labnis.station.qcodes_station import without_warnings_of_qcodes

__all__ = ["station_snapshot"]

Snapshot = dict[str, Any]


def station_snapshot(
    station: Station, instruments: Mapping[str, Any], identities: Mapping[str, dict[str, str | None]]
) -> Snapshot:
    """Settings of all `instruments` in `station`, read now, as plain JSON values; of other drivers the identity only.

    Numbers that JSON does not support become the text "NaN", "Infinity" or "-Infinity".

    Raises
    ------
    CommunicationError
        An instrument is silent.

    """
    with without_warnings_of_qcodes():
        first, second = (_plain(station.snapshot(update=True)) for _ in range(2))
        for name, found in second["instruments"].items():
            for entry, before, parameter in _differing(instruments[name], first["instruments"][name], found):
                third = before
                with suppress(Exception):  # it cannot be read: QCoDeS omits such parameters, too
                    third = _plain(parameter.snapshot(update=True))
                entry.update(_agreed([before, dict(entry), third]))
    for name, instrument in instruments.items():
        if not isinstance(instrument, InstrumentBase):
            kind = type(instrument)
            second["instruments"][name] = {
                "__class__": f"{kind.__module__}.{kind.__qualname__}",
                "parameters": {"IDN": {"value": identities[name] or None}},
            }
    return second


def _plain(snapshot: Mapping[Any, Any]) -> Snapshot:
    plain: Snapshot = json.loads(json.dumps(snapshot, cls=NumpyJSONEncoder), parse_constant=str)
    return plain


def _differing(part: InstrumentBase, first: Snapshot, second: Snapshot) -> Iterator[tuple[Snapshot, Snapshot, Any]]:
    """Entries of `second` with another value than in `first`, those of `first`, and their parameters."""
    for name, entry in second["parameters"].items():
        before = first["parameters"].get(name, {})
        if _value(before) != _value(entry):
            yield entry, before, part.parameters[name]
    for name, inner in second.get("submodules", {}).items():
        if "parameters" in inner and isinstance(module := part.submodules[name], InstrumentBase):
            yield from _differing(module, first["submodules"][name], inner)


def _value(entry: Snapshot) -> tuple[Any, Any]:
    return entry.get("value"), entry.get("raw_value")


def _agreed(entries: list[Snapshot]) -> Snapshot:
    """The entry that two of three have, or the median one, with all readings."""
    for entry in entries:
        if sum(_value(other) == _value(entry) for other in entries) > 1:
            return entry
    median = sorted(entries, key=lambda entry: _size(entry.get("value")))[1]
    return median | {"readings": [entry.get("value") for entry in entries]}


def _size(value: Any) -> float:
    return value if isinstance(value, int | float) and math.isfinite(value) else math.inf
