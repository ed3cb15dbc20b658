"""A data folder in which every file is hostile: absurd content, and text made for a terminal."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from labnis.storage._folder import run_id_of
from tests.storage.absurd import FILES, JOURNALS, LINKS, attribute, lay, replaced, set_attribute, two_runs

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


# Of the absurd files and journals, which tests/storage reads one by one, the commands get every sixth.
_EVERY = 6


def hostile_runs(data: Path) -> dict[str, Path]:
    """Case → path of its run in the data folder."""
    good, frames = two_runs(data)
    found: dict[str, Path] = {}
    secret = data.parent / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["secret"] = np.arange(60.0)
    changes = {
        **HOSTILE,
        **{case: change for case, (change, _) in list(FILES.items())[::_EVERY]},
        **{case: (lambda file, change=change: change(file, secret)) for case, (change, _) in LINKS.items()},
    }
    for number, (case, change) in enumerate(changes.items()):
        path = good.with_name(f"000000-File-f{number:03d}.h5")
        shutil.copyfile(good, path)
        with h5py.File(path, "r+") as file:
            file.attrs["run_id"] = run_id_of(path)
            change(file)
        found[case] = path
    for number, (case, (edit, _)) in enumerate(list(JOURNALS.items())[::_EVERY]):
        path = good.with_name(f"000000-Journal-j{number:03d}.h5")
        named = attribute("run_id", run_id_of(path))(frames)
        lay(path, edit(named))
        found[f"journal: {case}"] = path
    odd = {f"000000-x-{CONTROL}.h5": b"\x00", "000000-x-empty.h5": b"", "000000-x-text.h5": CONTROL.encode()}
    for name, content in odd.items():
        found[repr(name)] = good.with_name(name)
        found[repr(name)].write_bytes(content)
    return found


# --- VISA records -----------------------------------------------------------------------------------------------------

Lines = list[str]
_NO_PROCEDURE = {"procedure": CONTROL, "parameters": {}}


def _line(do: str, /, **values: Any) -> Callable[[Lines], Lines]:
    """The first line of this kind with other values; "" is the header."""

    def change(lines: Lines) -> Lines:
        number = next(n for n, line in enumerate(lines) if json.loads(line).get("do", "") == do)
        found = json.loads(lines[number]) | values
        return [*lines[:number], json.dumps(found), *lines[number + 1 :]]

    return change


def _header(**values: Any) -> Callable[[Lines], Lines]:
    return _line("", **values)


def _without(name: str) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        found = json.loads(lines[0])
        del found[name]
        return [json.dumps(found), *lines[1:]]

    return change


def _with_parameter(name: str, value: Any) -> Callable[[Lines], Lines]:
    def change(lines: Lines) -> Lines:
        found = json.loads(lines[0])
        found["procedures"][0]["parameters"][name] = value
        return [json.dumps(found), *lines[1:]]

    return change


RECORDS: dict[str, tuple[Callable[[Lines], Lines], str]] = {
    **{f"no {name}": (_without(name), name) for name in ("procedures", "station", "addresses", "cooldown")},
    "another version": (_header(labnis_visa_record=3), "line 1"),
    "no procedure": (_header(procedures=[]), "procedures"),
    "procedures of numbers": (_header(procedures=[1]), "procedures.0"),
    "a procedure of control characters": (_header(procedures=[_NO_PROCEDURE]), "no procedure"),
    "a parameter of control characters": (_with_parameter(CONTROL, 1), "parameters"),
    "1e300 points": (_with_parameter("points", 1e300), "parameters"),
    "a station of a number": (_header(station=1), "station"),
    "a station of control characters": (_header(station=CONTROL), "YAML"),
    "addresses of a list": (_header(addresses=[1]), "addresses"),
    "addresses of control characters": (_header(addresses={"keithley": CONTROL}), ""),
    "a cooldown of control characters": (_header(cooldown=CONTROL), "cooldown"),
    "a seed of -1": (_header(simulation={"seed": -1, "truth": ""}), "seed"),
    "a seed of 2**200": (_header(simulation={"seed": 2**200, "truth": ""}), "seed"),
    "a seed of NaN": (_header(simulation={"seed": math.nan, "truth": ""}), "seed"),
    "an answer of control characters": (_line("in", text="\x1b[2J\x07\r"), ""),
    "an answer that is not ASCII": (_line("in", text="é"), "text"),
    "an answer of 3 MB": (_line("in", text="x" * 3_000_000), ""),
    "an answer that is no base64": (_line("in", base64="!!"), "base64"),
    "a message of control characters": (_line("out", text=CONTROL.encode("ascii", "ignore").decode()), ""),
    "an instrument of control characters": (_line("out", instrument=CONTROL, text="no"), ""),
    "a status of control characters": (_line("in", status=CONTROL), "line 6"),
    "a status of 30 digits": (_line("in", status="9" * 30), "status"),
    "a status byte of 10**30": (_line("in", value=10**30), "value"),
    "an error of 10**20": (_line("in", failed="x", errno=10**20, reason=CONTROL), "errno"),
    "an error of control characters": (_line("in", failed="OSError", errno=104, reason=CONTROL), ""),
    "no address": (lambda lines: [*lines[:2], '{"do": "in"}', *lines[3:]], "address"),
    "an unknown line": (_line("in", do="dance"), "line 6"),
    "a line of a list": (_line("in", do=["in"]), "line 6"),
    "a clock at 1e300": (_line("in", clock=[1e300]), "clock"),
    "a clock at NaN": (_line("in", clock=[math.nan]), "clock"),
    "a clock of text": (_line("in", clock=["x"]), "clock"),
    "a clock that goes back": (_line("in", clock=[9e9]), "the clock goes back"),
    "a run of control characters": (_line("run", file=CONTROL), "did not start"),
    "rows of another run": (_line("rows", file=CONTROL), "did not start"),
    "a first point of 10**12": (_line("run", first_point=10**12), "first_point"),
    "rows of text": (_line("rows", rows="x"), "rows"),
    "columns of control characters": (_line("rows", rows=["0"] * 10, columns={CONTROL: CONTROL}), "differs"),
    "an end of a number": (_line("end", ended=5), "ended"),
    "an end of control characters": (_line("end", ended=CONTROL), ""),
    "nothing": (lambda _: [], "line 1"),
    "no JSON": (lambda _: ["\0"], "line 1"),
    "deep JSON": (lambda _: ["[" * 100_000], "line 1"),
    "one long line": (lambda _: ["x" * 3_000_000], "line 1"),
    "half a surrogate": (lambda lines: ['"\ud800"', *lines], "line 1"),
}  # fmt: skip
