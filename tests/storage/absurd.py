"""Files that are whole by their checksums but absurd, made of a good run, and what must be told of each.

Each case changes the frames of a journal, whose checksums are then right, or an HDF5 file.
"""

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from labnis.storage._journal import Journal, JournalReader, journal_path

from .conftest import FREQUENCY, finished, row, run_factory
from .test_fits import FIT

HEAD, AXIS, ROWS, EVENT, FITTED, CHANGED, EVENTS = range(1, 8)
ROW_BLOCKS = 6
ROWS_IN_ALL = 10 * ROW_BLOCKS
Frames = list[tuple[int, bytes]]


def two_runs(data: Path) -> tuple[Path, Frames]:
    """A good run in a data folder, and beside it the path and the frames of one whose process died."""
    new_run = run_factory(data)
    with finished(new_run(run_id="good")) as run:
        run.append(row(0))
    run = new_run(run_id="odd", axes=())
    run.add_axis(FREQUENCY)
    for index in range(ROWS_IN_ALL):
        run.append(row(index))
        if index % 10 == 9:
            run.flush()
    run.event("warning", "seen", value=1)
    run.flush()
    run.event("warning", "seen", value=1)
    run.event("warning", "something else")
    run.write_fit("iv", FIT)
    frames = [(frame.kind, frame.payload) for frame in JournalReader(journal_path(run.path))]
    run.finish("done")
    assert [kind for kind, _ in frames] == [HEAD, AXIS, *[ROWS] * ROW_BLOCKS, EVENTS, EVENTS, FITTED]
    # The process died: this number is larger than any system gives.
    return run.path, edited(frames, 0, lambda head: head["attributes"].update(writer_pid=2**30))


def edited(frames: Frames, number: int, edit: Callable[[dict[str, Any]], Any]) -> Frames:
    value = json.loads(frames[number][1])
    edit(value)
    return [*frames[:number], (frames[number][0], json.dumps(value).encode()), *frames[number + 1 :]]


def head(edit: Callable[[dict[str, Any]], Any]) -> Callable[[Frames], Frames]:
    return lambda frames: edited(frames, 0, edit)


def attribute(name: str, value: Any) -> Callable[[Frames], Frames]:
    return head(lambda found: found["attributes"].update({name: value}))


def without(name: str) -> Callable[[Frames], Frames]:
    return head(lambda found: found["attributes"].pop(name))


def schema(name: str, value: Any) -> Callable[[Frames], Frames]:
    return head(lambda found: found["schema"].update({name: value}))


def axis(**changes: Any) -> Callable[[Frames], Frames]:
    return lambda frames: edited(frames, 1, lambda found: found.update(changes))


def block(first: int | None = None, count: int | None = None, time: float | None = None) -> Callable[[Frames], Frames]:
    """The third block of rows with another first row, count or time."""

    def change(frames: Frames) -> Frames:
        old = struct.unpack_from("<QQd", frames[4][1])
        new = [before if after is None else after for before, after in zip(old, (first, count, time), strict=True)]
        return [*frames[:4], (ROWS, struct.pack("<QQd", *new) + frames[4][1][24:]), *frames[5:]]

    return change


def events(**changes: Any) -> Callable[[Frames], Frames]:
    return lambda frames: edited(frames, 8, lambda found: found.update(changes))


def event(**changes: Any) -> Callable[[Frames], Frames]:
    return lambda frames: edited(frames, 8, lambda found: found["events"][0].update(changes))


def fit(**changes: Any) -> Callable[[Frames], Frames]:
    return lambda frames: edited(frames, 10, lambda found: found["fit"].update(changes))


def ended(**changes: Any) -> Callable[[Frames], Frames]:
    return lambda frames: [*frames, (CHANGED, json.dumps(changes).encode())]


def order(*numbers: int) -> Callable[[Frames], Frames]:
    return lambda frames: [frames[number] for number in numbers]


def payload(number: int, data: bytes) -> Callable[[Frames], Frames]:
    return lambda frames: [*frames[:number], (frames[number][0], data), *frames[number + 1 :]]


JOURNALS: dict[str, tuple[Callable[[Frames], Frames], str]] = {
    "no head": (order(1, 2, 3), "does not begin with the head"),
    "head twice": (order(0, 0, 1, 2), "head of a run comes twice"),
    "axis twice": (order(0, 1, 1, 2), "has its values already"),
    "no axis": (order(0, 2, 3), "come before the axes"),
    "nothing": (order(), "is empty"),
    "rows repeated": (order(0, 1, 2, 3, 3, 4), "rows 10 to 19 come twice"),
    "rows missing": (order(0, 1, 2, 3, 6, 7), "rows 20 to 39 are missing"),
    "rows in another order": (order(0, 1, 2, 4, 3, 5), "rows 10 to 19 are missing"),
    "events missing": (order(0, 1, 2, 3, 4, 5, 6, 7, 9, 10), ""),  # the later frame has both entries
    "events far away": (events(first=7), "events 0 to 6 are missing"),
    "events repeated": (lambda f: [*edited(f, 9, lambda e: e.update(first=2)), f[8]], "are missing"),
    "events before the first": (events(first=-1), "whole number is needed"),
    "events at half": (events(first=0.5), "whole number is needed"),
    "events without time": (events(time=None), "is not a time"),
    "events at no time": (events(time=math.nan), "is not a time"),
    "events none": (events(events=None), "not iterable"),
    "events of numbers": (events(events=[1, 2]), "not subscriptable"),
    "event at 1e300": (event(monotonic=1e300 * 1e300), "monotonic=inf"),
    "event in the year 1": (event(time="0001-01-01T00:00:00+14:00"), "outside of 1970"),
    "event without offset": (event(time="2026-03-04T15:16:17"), "no UTC offset"),
    "event with a number as time": (event(time=7), "not a time"),
    "event with a list as kind": (event(kind=["a"]), "texts are needed"),
    "event with details of text": (event(details='"x"'), "details"),
    "event with details that are no JSON": (event(details="{"), "Expecting"),
    "event that never happened": (event(count=0), "count=0"),
    "event that happened too often": (event(count=2**70), "count="),
    "first row 2**31": (block(first=2**31), "rows 20 to 2147483647 are missing"),
    "first row 2**64 - 1": (block(first=2**64 - 1), "are missing"),
    "no rows": (block(count=0), "block of 0 rows"),
    "2**60 rows": (block(count=2**60), "needed are"),
    "rows at no time": (block(time=math.nan), "is not a time"),
    "rows at 1e300": (block(time=1e300), "is not a time"),
    "rows before 1970": (block(time=-1.0), "is not a time"),
    "rows cut off": (payload(4, b"abc"), "unpack"),
    "head of a list": (payload(0, b"[1, 2]"), "JSON object is needed"),
    "head of no JSON": (payload(0, b"{\xff}"), "decode"),
    "head that is deep": (payload(0, b"[" * 100_000), "nested"),
    "no schema": (head(lambda found: found.pop("schema")), "schema"),
    "no attributes": (head(lambda found: found.pop("attributes")), "attributes"),
    "schema of text": (head(lambda found: found.update(schema="x")), ""),
    "columns of numbers": (schema("columns", [1]), ""),
    "columns none": (schema("columns", []), ""),
    "signal of a list": (schema("signal", ["x"]), "signal"),
    "signal unknown": (schema("signal", "x"), "signal is 'x'"),
    "grid of text": (schema("grid", {"bias": ["a"]}), "grid of 'bias'"),
    "grid of NaN": (schema("grid", {"bias": [math.nan]}), "finite"),
    "rows off the grid": (schema("grid", {"bias": [0.0, 1.0]}), "the grid has 2 points"),
    "start missing": (without("start"), "no attribute 'start'"),
    "id missing": (without("run_id"), "no attribute 'run_id'"),
    "version missing": (without("schema_version"), "no attribute 'schema_version'"),
    "simulated missing": (without("simulated"), "no attribute 'simulated'"),
    "start of a number": (attribute("start", 1e300), "'start'"),
    "start without offset": (attribute("start", "2026-03-04T15:16:17"), "no UTC offset"),
    "tags of numbers": (attribute("tags", "[1]"), "'tags'"),
    "parameters of a list": (attribute("parameters", "[]"), "'parameters'"),
    "wiring that is no JSON": (attribute("wiring", "{"), "'wiring'"),
    "process of text": (attribute("writer_pid", "x"), "'writer_pid'"),
    "process 2**70": (attribute("writer_pid", 2**70), "'writer_pid'"),
    "process without boot": (without("writer_boot"), "only"),
    "status of the moon": (attribute("status", "full"), "'status'"),
    "attribute of a list": (attribute("own", [1, 2]), "'own'"),
    "attribute of 10**400": (attribute("own", 10**400), "'own'"),
    "axis without values": (axis(values=[]), "non-empty"),
    "axis of text": (axis(values=["x"]), "real numbers"),
    "axis of another name": (axis(name="x"), "no column has an axis"),
    "axis with a unit of numbers": (axis(unit=1), "texts are needed"),
    "axis with more": (axis(more=1), "more"),
    "fit without values": (fit(values=None), "values"),
    "fit of two shapes": (fit(values=[1.0, [2.0]]), ""),
    "fit of text": (fit(chi2="x"), "chi2"),
    "fit without parameters": (fit(parameters=None), ""),
    "fit of another name": (lambda f: edited(f, 10, lambda found: found.update(name=7)), "fit name 7"),
    "end of text": (ended(end="tomorrow"), "'end'"),
    "end without a status": (ended(status=None), "'status' would be removed"),
    "duration of NaN": (ended(duration=math.nan), "'duration'"),
    "duration of 1e300": (ended(duration=1e300), "'duration'"),
    "kind of a newer version": (lambda f: [*f, (99, b"{}")], "newer labnis"),
}  # fmt: skip


def lay(path: Path, frames: Frames) -> None:
    path.unlink(missing_ok=True)
    journal_path(path).unlink(missing_ok=True)
    journal = Journal(journal_path(path))
    journal.append((kind, [data]) for kind, data in frames)


def set_attribute(name: str, value: Any) -> Callable[[Any], None]:
    return lambda file: file.attrs.__setitem__(name, value)


def set_rows(value: Any) -> Callable[[Any], None]:
    return lambda file: file["data"].attrs.__setitem__("rows", value)


def replaced(name: str, **options: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        described = dict(file[name].attrs) if isinstance(file[name], h5py.Dataset) else {}
        del file[name]
        made = file.create_dataset(name, **options)
        made.attrs.update({key: described[key] for key in ("units", "long_name") if key in described})

    return change


def wrong_point(value: int) -> Callable[[Any], None]:
    return lambda file: file["data/point"].__setitem__(3, value)


FILES: dict[str, tuple[Callable[[Any], None], str]] = {
    **{
        f"{name} is {value!r}": (set_attribute(name, value), name)
        for name, values in {
            "start": (7.0, "yesterday", "0001-01-01T00:00:00+00:00", np.arange(3), h5py.Empty("f8"), np.void(b"x")),
            "end": ("2026-03-04", math.nan), "duration": (math.nan, math.inf, "long"),
            "status": (1, "", "gone"), "procedure": (1.5, np.array(["a", "b"], dtype=h5py.string_dtype())),
            "tags": ("{", '[{"a": 1}]', '"x"', 3, "[" * 10_000), "simulated": ("yes", 2),
            "schema_version": ("x", 1e300), "writer_pid": ("x", 2.5),
            "writer_started": (math.nan,), "note": (1,), "station_text": (np.arange(2),),
        }.items()
        for value in values
    },
    "no status": (lambda file: file.attrs.__delitem__("status"), "status"),
    "no rows": (lambda file: file["data"].attrs.__delitem__("rows"), "rows"),
    "-1 rows": (set_rows(-1), "rows"),
    "2**40 rows": (set_rows(2**40), "rows"),
    "rows of text": (set_rows("many"), "rows"),
    "rows of NaN": (set_rows(math.nan), "rows"),
    "rows of a list": (set_rows([1, 2]), "rows"),
    "no data": (lambda file: file.__delitem__("data"), "data"),
    "data of numbers": (replaced("data", data=[1.0]), "rows"),
    "no schema": (lambda file: file["data"].attrs.__setitem__("schema", "{"), ""),
    "column of text": (replaced("data/current", data=["a"] * 60), "current"),
    "column without rows": (replaced("data/current", shape=(0,), dtype="f8"), "current"),
    "column of another shape": (replaced("data/current", shape=(60, 2), dtype="f8"), "current"),
    "axis of 2**40 points": (replaced("data/frequency", shape=(2**40,), dtype="f8", chunks=(64,)), "too large"),
    "no column": (lambda file: file.__delitem__("data/current"), "current"),
    "point -1": (wrong_point(-1), "row 3 is at the point -1"),
    "events of numbers": (replaced("events/kind", data=[1.0, 2.0]), "kind"),
    "fit of text": (replaced("fit/iv/values", data=["a"]), "iv"),
    "fit of nothing": (lambda file: file.__delitem__("fit/iv/values"), "values"),
}  # fmt: skip


def external_storage(file: Any, secret: Path) -> None:
    del file["data/current"]
    file.create_dataset("data/current", shape=(60,), dtype="f8", external=[(str(secret), 0, 480)])


def virtual(file: Any, secret: Path) -> None:
    del file["data/current"]
    layout = h5py.VirtualLayout((60,), "f8")
    layout[:] = h5py.VirtualSource(secret, "secret", shape=(60,))
    file.create_virtual_dataset("data/current", layout)


def linked(name: str, link: Callable[[Path], Any]) -> Callable[[Any, Path], None]:
    def change(file: Any, secret: Path) -> None:
        if name in file:
            del file[name]
        file[name] = link(secret)

    return change


LINKS: dict[str, tuple[Callable[[Any, Path], None], str]] = {
    "external storage": (external_storage, "values are in another file"),
    "virtual dataset": (virtual, "values are in another file"),
    "external link to a column": (linked("data/current", lambda s: h5py.ExternalLink(s, "/secret")), "to the file"),
    "external link to data": (linked("data", lambda s: h5py.ExternalLink(s, "/")), "to the file"),
    "external link to fits": (linked("fit", lambda s: h5py.ExternalLink(s, "/")), "to the file"),
    "external link to events": (linked("events", lambda s: h5py.ExternalLink(s, "/")), "to the file"),
    "external link at the root": (linked("stolen", lambda s: h5py.ExternalLink(s, "/secret")), "to the file"),
    "soft link over an external one": (linked("data/current", lambda _: h5py.SoftLink("/x/secret")), "a link to"),
    "soft link to itself": (linked("data/current", lambda _: h5py.SoftLink("/data/current")), "a link to"),
}  # fmt: skip
