"""What the monitor costs a measurement: the interval between points with 50 open pages; and its own memory.

Monitor and pages are stopped and continued in turn (SIGSTOP), so that a busy machine slows both halves equally. Pages
are the web sockets of browsers; what a browser draws costs the processor of its own device.
"""

import asyncio
import multiprocessing
import re
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import psutil
from numpy.typing import NDArray
from websockets.asyncio.client import connect
from websockets.typing import Origin, Subprotocol

from benchmarks.timing import Line, promise
from labnis.storage import ESTIMATE, Column, RunMetadata, RunWriter, collect_environment
from tests.monitor.serving import Monitor, monitored

__all__ = ["monitor"]

PAGES, PROMISED_GROWTH, PROMISED_MEMORY = 50, 0.05, 0.1
ROUNDS, PHASE, WAIT = 8, 8.0, 20e-3  # s
ROWS, STEP, FULL = 1_000_000, 50_000, 5

ESTIMATED = frozenset(round(1.05**power) for power in range(284))
"""Rows with a live fit."""

COLUMNS = (
    Column("bias", "V", "Bias"),
    Column("current", "A", "Current"),
    Column("fridge_temperature", "K", "Temperature of the stage"),
    Column("time_utc", "s", "Time, UTC"),
)


def monitor() -> list[Line]:
    """Growth of the 99th percentile of the interval between points, and of the monitor's memory."""
    if not hasattr(signal, "SIGSTOP"):
        return []
    with tempfile.TemporaryDirectory(dir=".") as folder, monitored(Path(folder)) as start:
        return [
            _intervals(Path(folder), start("--port 0 --data data")),
            _memory(Path(folder), start("--port 0 --data data")),
        ]


def _run(folder: Path, points: int) -> RunWriter:
    (folder / "data").mkdir(exist_ok=True)
    about = RunMetadata("Sweep", {}, datetime.now().astimezone(), collect_environment(), simulated=True)
    return RunWriter(folder / "data", about, COLUMNS, grid={"bias": np.linspace(-1e-3, 1e-3, points)})


def _append(run: RunWriter, number: int, points: int) -> None:
    bias = -1e-3 + 2e-3 * number / (points - 1)
    run.append({
        "bias": bias, "current": bias / 24e3, "fridge_temperature": 0.01, "time_utc": time.time(), "point": number,
    })  # fmt: skip
    if number in ESTIMATED:
        value = {"value": 2e-4, "sigma": 1e-6, "unit": "eV"}
        run.event(ESTIMATE, f"live fit of {number} rows", rows=number, results={"gap": value, "resistance": value})


def _intervals(folder: Path, watched: Monitor) -> Line:
    """Intervals between points without and with the pages, in turn."""
    points = round(3 * ROUNDS * PHASE / WAIT)
    run = _run(folder, points)
    numbers = iter(range(points))
    phases: dict[bool, list[float]] = {False: [], True: []}
    with _pages(watched, run.run_id) as pages:
        processes = [psutil.Process(watched.process.pid), psutil.Process(pages.pid)]
        _phase(run, numbers, points)
        begun = processes[0].cpu_times()
        for turn in range(2 * ROUNDS):
            seen = turn % 2 == 1
            for process in processes:
                process.resume() if seen else process.suspend()
            phases[seen].append(float(np.percentile(_phase(run, numbers, points), 99)))
        ended = processes[0].cpu_times()
    run.finish("done")
    growth = float(np.median(np.array(phases[True]) / np.array(phases[False]))) - 1
    share = (ended.user + ended.system - begun.user - begun.system) / (ROUNDS * PHASE)
    alone = float(np.median(phases[False]))
    return Line(
        f"interval between points of {alone * 1e3:.1f} ms, 99 %, with {PAGES} pages of the monitor, longer by",
        f"{growth:+.1%}",
        f"{promise(f'at most {PROMISED_GROWTH:.0%}', growth <= PROMISED_GROWTH)}; it takes {share:.0%} of a core",
    )


def _phase(run: RunWriter, numbers: Iterator[int], points: int) -> NDArray[np.float64]:
    """Intervals (s) between the points of one phase."""
    times = []
    end = time.perf_counter() + PHASE
    while (now := time.perf_counter()) < end:
        times.append(now)
        _append(run, next(numbers), points)
        time.sleep(WAIT)
    return np.diff(times)


def _memory(folder: Path, watched: Monitor) -> Line:
    """Memory of the monitor after a quarter of a million rows, when all pages are open and full, and after all."""
    run = _run(folder, ROWS)
    process = psutil.Process(watched.process.pid)
    with _pages(watched, run.run_id):
        sizes = []
        for number in range(ROWS):
            _append(run, number, ROWS)
            if number % STEP == STEP - 1:
                run.flush()
                time.sleep(3.0)  # so that the monitor reads this
                sizes.append(process.memory_info().rss)
    run.finish("done")
    assert watched.status()["runs"][0]["rows"] == ROWS
    growth = float(np.mean(sizes[-3:]) / np.mean(sizes[FULL : FULL + 3])) - 1
    return Line(
        f"memory of the monitor with {PAGES} pages, from {FULL * STEP} to {ROWS} rows, larger by",
        f"{growth:+.1%}",
        f"{promise(f'at most {PROMISED_MEMORY:.0%}', growth <= PROMISED_MEMORY)}; it is {sizes[-1] / 1e6:.0f} MB",
    )


@contextmanager
def _pages(watched: Monitor, run_id: str) -> Iterator[multiprocessing.context.SpawnProcess]:
    """Web sockets of as many pages, half of them of the run, in a process of their own."""
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold_pages, args=(watched.address, run_id, ready), daemon=True)
    process.start()
    try:
        assert ready.wait(120)
        yield process
    finally:
        psutil.Process(process.pid).resume()
        process.kill()
        process.join()


def _hold_pages(address: str, run_id: str, ready: "multiprocessing.synchronize.Event") -> None:
    psutil.Process().nice(10)  # other devices, in truth
    asyncio.run(_all_pages(address, run_id, ready))


async def _all_pages(address: str, run_id: str, ready: "multiprocessing.synchronize.Event") -> None:
    pages = [asyncio.create_task(_page(address, f"run?id={run_id}" if n % 2 else "")) for n in range(PAGES)]
    await asyncio.sleep(10.0)
    failed = [page for page in pages if page.done()]
    if failed:
        failed[0].result()
    ready.set()
    await asyncio.gather(*pages)


async def _page(address: str, path: str) -> None:
    """What a browser does: the page, its web socket, its document, and all changes of it."""
    url = f"{address}{path}"
    text = await asyncio.to_thread(lambda: urlopen(url, timeout=60).read().decode())  # noqa: S310  # our own server
    (token,) = re.findall(r'"token":"([^"]+)"', text)
    socket = f"{address.replace('http', 'ws')}{path.partition('?')[0]}{'/' if path else ''}ws"
    protocols = [Subprotocol("bokeh"), Subprotocol(token)]
    async with connect(socket, origin=Origin(address.rstrip("/")), subprotocols=protocols, max_size=None) as opened:
        await opened.recv()  # Bokeh takes messages once it has sent its own first one
        for part in ('{"msgid":"1","msgtype":"PULL-DOC-REQ"}', "{}", "{}"):
            await opened.send(part)
        async for _ in opened:
            pass


if __name__ == "__main__":
    for line in monitor():
        sys.stdout.write(f"{line.subject}: {line.figure} ({line.remark})\n")
