"""Record what a writer does to its files, and make of that what a kill or a power cut would have left on the disk.

A kill leaves every write up to its moment. A power cut leaves everything up to the last sync of a file, and of the
later writes any part: sectors of 512 bytes are kept or lost one by one, and so is each change of the file's length.
"""

import io
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labnis.storage import RunWriter, _disk
from labnis.storage._journal import Journal, journal_path

from .conftest import FREQUENCY, row
from .test_fits import FIT

SECTOR = 512


@dataclass(frozen=True)
class Operation:
    """put: data at offset · cut: length is offset · sync · whole: replaced · gone · promised: rows on disk."""

    kind: str
    path: str = ""
    offset: int = 0
    data: bytes = b""
    rows: int = 0


@dataclass
class Recording:
    """What happened to the files of one run since its creation, and how they were then."""

    run: Path
    first: dict[str, bytes] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)

    def promised(self, moment: int) -> int:
        """Rows that the writer had said to be on disk before operation number `moment`."""
        return max((op.rows for op in self.operations[:moment] if op.kind == "promised"), default=0)

    def after_kill(self, moment: int) -> dict[str, bytes]:
        """Files as they are if the process is killed before operation number `moment`."""
        files: dict[str, bytearray] = {name: bytearray(data) for name, data in self.first.items()}
        for op in self.operations[:moment]:
            if op.kind == "gone":
                files.pop(op.path)
            elif op.kind == "whole":
                files[op.path] = bytearray(op.data)
            elif op.path:
                _apply(files[op.path], op)
        return {name: bytes(data) for name, data in files.items()}

    def after_power_cut(self, moment: int, chance: random.Random, *, trusted: bool = True) -> dict[str, bytes]:
        """Files as they may be if the power fails then; not `trusted`: as if the HDF5 file were never synced."""
        durable = {name: bytearray(data) for name, data in self.first.items()}
        late: dict[str, list[Operation]] = {name: [] for name in durable}
        for op in self.operations[:moment]:
            if op.kind == "gone":
                # Whether the folder's list of names is on disk is open until it is synced.
                if chance.random() < 0.5:
                    durable.pop(op.path)
            elif op.kind == "whole":
                # Old or new: the moments before and after this one.
                durable[op.path] = bytearray(op.data)
                late[op.path].clear()
            elif op.kind == "sync" and (trusted or op.path != str(self.run)):
                for one in late[op.path]:
                    _apply(durable[op.path], one)
                late[op.path].clear()
            elif op.path:
                late[op.path].append(op)
        for name, image in durable.items():
            kept = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
            for op in late[name]:
                _apply_torn(image, op, kept, chance)
        return {name: bytes(image) for name, image in durable.items()}


def _apply(image: bytearray, op: Operation) -> None:
    if op.kind == "put":
        image.extend(bytes(max(0, op.offset - len(image))))
        image[op.offset : op.offset + len(op.data)] = op.data
    elif op.kind == "cut":
        image.extend(bytes(max(0, op.offset - len(image))))
        del image[op.offset :]


def _apply_torn(image: bytearray, op: Operation, kept: float, chance: random.Random) -> None:
    if op.kind == "cut" and chance.random() < kept:
        _apply(image, op)
    if op.kind != "put":
        return
    start, end = op.offset, op.offset + len(op.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        if chance.random() < kept:
            _apply(image, Operation("put", op.path, start, op.data[start - op.offset : stop - op.offset]))
        start = stop


def laid(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Lay the files into an empty folder; the run's path there, whether or not its HDF5 file was kept."""
    folder.mkdir()
    for name, data in files.items():
        (folder / Path(name).name).write_bytes(data)
    return folder / next(Path(name).name.removesuffix(".journal") for name in files)


def record(monkeypatch: pytest.MonkeyPatch, run: RunWriter) -> Recording:
    """Record from now on all that is done to the files of `run`."""
    found = Recording(run.path)
    for path in (run.path, journal_path(run.path)):
        found.first[str(path)] = path.read_bytes()
    note = found.operations.append

    def wrapped(name: str, told: Callable[..., Operation]) -> None:
        real = getattr(_disk, name)

        def do(file: io.FileIO, *arguments: Any) -> None:
            if str(file.name) in found.first:
                note(told(str(file.name), *arguments))
            real(file, *arguments)

        monkeypatch.setattr(_disk, name, do)

    wrapped("put", lambda path, offset, data: Operation("put", path, offset, bytes(memoryview(data).cast("B"))))
    wrapped("cut", lambda path, size: Operation("cut", path, size))
    wrapped("allocate", lambda path, _, end: Operation("cut", path, end))
    wrapped("sync", lambda path: Operation("sync", path))
    replace = _disk.replace

    def replaced(making: Path, path: Path) -> None:
        if str(path) in found.first:
            note(Operation("whole", str(path), data=making.read_bytes()))
        replace(making, path)

    monkeypatch.setattr(_disk, "replace", replaced)
    discard = Journal.discard

    def discarded(self: Journal) -> None:
        note(Operation("gone", str(self.path)))
        discard(self)

    monkeypatch.setattr(Journal, "discard", discarded)
    return found


def recorded_run(monkeypatch: pytest.MonkeyPatch, new_run: Callable[..., RunWriter], blocks: int = 8) -> Recording:
    """A run with everything in it: rows in blocks of all sizes, a late axis, events, a fit, its end."""
    run = new_run(axes=())
    found = record(monkeypatch, run)
    run.add_axis(FREQUENCY)
    count = 0
    for block in range(blocks):
        for _ in range((1, 3, 40, 700)[block % 4]):
            run.append(row(count))
            count += 1
        if block % 3 == 0:
            run.event("warning", f"block {block}", block=block)
        run.flush()
        found.operations.append(Operation("promised", rows=count))
        if block == blocks // 2:
            run.write_fit("iv", FIT)
    run.finish("done")
    monkeypatch.undo()
    return found


def assert_rows(run: Any, at_least: int) -> None:
    """The dataset holds at least so many rows, all with the values that `row` gave them."""
    count = run.sizes["point"]
    assert count >= at_least
    np.testing.assert_array_equal(run.bias, np.arange(count))
    np.testing.assert_array_equal(run.current, -np.arange(count))
    if count:
        np.testing.assert_array_equal(run.s11, np.arange(count)[:, None] * np.full(7, 1 + 2j))
