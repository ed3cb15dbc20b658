"""A data folder in which every file is hostile: absurd content, and text made for a terminal."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.storage.absurd import FILES, JOURNALS, LINKS, lay, replaced, set_attribute, two_runs

CONTROL = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202e\u200b"
"""Sets a terminal's title, clears it, and turns the direction of its text."""

TEXTS = (
    "procedure", "cooldown", "reason", "note", "run_id", "git_commit", "host", "procedure_class", "traceback",
)  # fmt: skip


def _first(name: str, text: str) -> Callable[[Any], None]:
    return lambda file: file[name].__setitem__(0, text)


def _fit(name: str, **attributes: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file.move("fit/iv", f"fit/{name}")
        file[f"fit/{name}"].attrs.update(attributes)

    return change


def _parameters(name: str, unit: str) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file["fit/iv/parameters"][0] = name
        file["fit/iv/units"][0] = unit

    return change


def _values(value: float) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        for name in ("values", "sigma", "covariance"):
            file[f"fit/iv/{name}"][...] = value

    return change


def _cycle(file: Any) -> None:
    file["fit/iv/again"] = file["fit"]
    file["data/again"] = file["data"]


HOSTILE: dict[str, Callable[[Any], None]] = {
    **{f"control characters in {name}": set_attribute(name, f"a{CONTROL}b") for name in TEXTS},
    **{f"1 MB of {name}": set_attribute(name, "x" * 60_000) for name in ("reason", "procedure")},
    **{
        f"control characters in {name}": set_attribute(name, json.dumps({CONTROL: CONTROL}))
        for name in ("parameters", "wiring", "context", "instruments")
    },
    "deep parameters": set_attribute("parameters", '{"a":' * 500 + "1" + "}" * 500),
    "tags of control characters": set_attribute("tags", json.dumps([CONTROL])),
    "half surrogates in a note": set_attribute("note", '"\\ud800"'),
    "parameters of 1e400": set_attribute("parameters", '{"points": 1e400}'),
    "parameters of NaN": set_attribute("parameters", '{"points": NaN}'),
    "a start in 2199 at -23:59": set_attribute("start", "2199-12-31T23:59:59-23:59"),
    "a number of 2**62": set_attribute("number", 2**62),
    "a duration of -1": set_attribute("duration", -1.0),
    "NaN in an event's time": lambda file: file["events/monotonic"].__setitem__(0, math.nan),
    "a time of an event": _first("events/time", f"2026{CONTROL}"),
    "a kind of an event": _first("events/kind", CONTROL),
    "a message of an event": _first("events/message", CONTROL),
    "details of an event": _first("events/details", json.dumps({CONTROL: [CONTROL, {"a": CONTROL}]})),
    "a VISA record of an event": lambda file: (
        _first("events/kind", "visa")(file),
        _first("events/details", json.dumps({"record": CONTROL}))(file),
    ),
    "a count of an event": lambda file: file["events/count"].__setitem__(0, -(2**63)),
    "a model of control characters": _fit("iv", model=json.dumps(CONTROL)),
    "warnings of control characters": _fit("iv", warnings=json.dumps([CONTROL])),
    "warnings of numbers": _fit("iv", warnings="[1, null]"),
    "assumptions of control characters": _fit("iv", assumed=json.dumps({CONTROL: CONTROL})),
    "assumptions of a list": _fit("iv", assumed="[1]"),
    "a model of a list": _fit("iv", model="[1]"),
    "inputs of text": _fit("iv", inputs='{"a": "b"}'),
    "noise of text": _fit("iv", noise='"x"'),
    "an attribute that is no JSON": _fit("iv", own=f"{{{CONTROL}"),
    "an attribute of numbers": _fit("iv", own=np.arange(3)),
    "chi2 of text": _fit("iv", chi2=CONTROL),
    "chi2 of NaN": _fit("iv", chi2=math.nan),
    "dof of 1e300": _fit("iv", dof=1e300),
    "a name of control characters": _fit(CONTROL),
    "parameters of control characters": _parameters(CONTROL, CONTROL),
    "twice the same parameter": _parameters("resistance", "ohm"),
    "values of NaN": _values(math.nan),
    "values of infinity": _values(math.inf),
    "values of 1e300": _values(1e300),
    "negative covariance": _values(-1.0),
    "values of another shape": replaced("fit/iv/values", data=np.zeros((2, 2))),
    "covariance of another shape": replaced("fit/iv/covariance", data=np.zeros(3)),
    "parameters of numbers": replaced("fit/iv/parameters", data=[1.0, 2.0]),
    "a fit that is a dataset": replaced("fit/iv", data=[1.0]),
    "fits that are a dataset": replaced("fit", data=[1.0]),
    "events that are a dataset": replaced("events", data=[1.0]),
    "no fits": lambda file: file.__delitem__("fit"),
    "hard links in a circle": _cycle,
}  # fmt: skip


def hostile_runs(data: Path) -> dict[str, Path]:
    """Case → path of its run in the data folder."""
    good, frames = two_runs(data)
    found: dict[str, Path] = {}
    secret = data.parent / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.arange(60.0)
    changes = {
        **HOSTILE,
        **{case: change for case, (change, _) in FILES.items()},
        **{case: (lambda file, change=change: change(file, secret)) for case, (change, _) in LINKS.items()},
    }
    for number, (case, change) in enumerate(changes.items()):
        path = good.with_name(f"000000-File-f{number:03d}.h5")
        shutil.copyfile(good, path)
        with h5py.File(path, "r+") as file:
            change(file)
        found[case] = path
    for number, (case, (edit, _)) in enumerate(JOURNALS.items()):
        path = good.with_name(f"000000-Journal-j{number:03d}.h5")
        lay(path, edit(frames))
        found[f"journal: {case}"] = path
    odd = {f"000000-x-{CONTROL}.h5": b"\x00", "000000-x-empty.h5": b"", "000000-x-text.h5": CONTROL.encode()}
    for name, content in odd.items():
        found[repr(name)] = good.with_name(name)
        found[repr(name)].write_bytes(content)
    return found
