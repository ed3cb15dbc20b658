"""The state for other programs: JSON, and the text format of Prometheus."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from labnis.ui.monitor._snapshot import RunView, Snapshot

__all__ = ["metrics_text", "status_of"]


def status_of(snapshot: Snapshot) -> dict[str, Any]:
    """The runs that are shown, and what could not be read, as plain values; what is not known is None."""
    return {
        "taken": snapshot.taken.isoformat(),
        "reading_time": snapshot.reading_time,
        "runs": [_plain(view) for view in snapshot.views],
        "problems": list(snapshot.problems),
    }


def _plain(view: RunView) -> dict[str, Any]:
    return {
        "run_id": view.run_id,
        "procedure": view.procedure,
        "device": view.device,
        "cooldown": view.cooldown,
        "simulated": view.simulated,
        "status": view.status,
        "reason": view.reason,
        "start": view.start.isoformat(),
        "end": None if view.end is None else view.end.isoformat(),
        "rows": view.rows,
        "planned": view.planned,
        "per_cent": _known(view.per_cent),
        "remaining": _known(view.remaining),
        "bias": _known(view.bias),
        "fridge_temperature": _known(view.fridge_temperature),
        "final": view.final,
        "estimated_rows": None if view.final else view.estimated_rows,
        "results": {
            name: {key: _known(value) for key, value in one.as_record().items()} | {"doubtful": name in view.doubtful}
            for name, one in view.results.items()
        },
        "warnings": list(view.warnings),
        "notes": list(view.notes),
        "events": [
            {"time": one.time.isoformat(), "kind": one.kind, "message": one.message, "count": one.count}
            for one in view.events
        ],
    }


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def metrics_text(snapshot: Snapshot) -> str:
    """Gauges of the running runs and of the monitor itself."""
    lines: list[str] = []
    for name, (what, samples) in _gauges(snapshot).items():
        known = [(labels, value) for labels, value in samples if math.isfinite(value)]
        if known:
            lines += [f"# HELP labnis_{name} {what}", f"# TYPE labnis_{name} gauge"]
            lines += [f"labnis_{name}{_labels(labels)} {value!r}" for labels, value in known]
    return "\n".join([*lines, ""])


Samples = list[tuple[Mapping[str, str], float]]


def _gauges(snapshot: Snapshot) -> dict[str, tuple[str, Samples]]:
    running = [(view, _identity(view)) for view in snapshot.running]
    states = [run.status for run in snapshot.runs]
    return {
        "runs": ("Runs in the data folder.", [({"status": s}, float(states.count(s))) for s in sorted({*states})]),
        "running": ("Runs that are measured now.", [({}, float(len(running)))]),
        "run_rows": ("Rows that are measured.", [(labels, float(view.rows)) for view, labels in running]),
        "run_planned_rows": ("Rows that are planned.", [(la, float(view.planned or math.nan)) for view, la in running]),
        "run_remaining_seconds": ("Time to the end.", [(labels, view.remaining) for view, labels in running]),
        "run_bias_volts": ("Commanded bias of the last row.", [(labels, view.bias) for view, labels in running]),
        "run_fridge_temperature_kelvin": (
            "Temperature of the mixing chamber in the last row.",
            [(labels, view.fridge_temperature) for view, labels in running],
        ),
        "run_interlocks": ("Events of interlocks.", [(la, _count(view, "interlock")) for view, la in running]),
        "run_warnings": ("Warnings of the live fit.", [(la, float(len(view.warnings))) for view, la in running]),
        "result_rows": ("Rows of the live fit.", [(la, float(view.estimated_rows)) for view, la in running]),
        "result": ("Value of a result of the live fit.", [*_results(running, "value")]),
        "result_sigma": ("Standard uncertainty of it by noise alone.", [*_results(running, "sigma")]),
        "monitor_reading_seconds": ("Time that the last reading took.", [({}, snapshot.reading_time)]),
        "monitor_taken_seconds": ("When it was read, since 1970.", [({}, snapshot.taken.timestamp())]),
        "monitor_problems": ("Files that could not be read.", [({}, float(len(snapshot.problems)))]),
    }


def _identity(view: RunView) -> dict[str, str]:
    simulated = "true" if view.simulated else "false"
    return {
        "run": view.run_id, "procedure": view.procedure, "device": view.device, "cooldown": view.cooldown,
        "simulated": simulated,
    }  # fmt: skip


def _count(view: RunView, kind: str) -> float:
    return float(sum(event.count for event in view.events if event.kind == kind))


def _results(running: list[tuple[RunView, dict[str, str]]], part: str) -> Iterator[tuple[Mapping[str, str], float]]:
    for view, labels in running:
        for name, one in view.results.items():
            yield labels | {"result": name, "unit": one.unit}, float(getattr(one, part))


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
