"""Results over time: each with both parts of its σ, by device and cooldown; those in doubt are marked."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from bokeh.document import Document
from bokeh.models import Column, ColumnDataSource, OpenURL, TapTool

from labnis.fit import Estimate, scaled_unit
from labnis.ledger import Calibration
from labnis.ui.monitor._pages import argument, html, set_up
from labnis.ui.monitor._plots import BLUE, ORANGE, plain_figure
from labnis.ui.monitor._snapshot import Snapshot
from labnis.ui.monitor._text import escaped, head_of, link, problems_of, table_of

__all__ = ["HistoryPage"]

LISTED = 50
"""Results in the table, the newest."""

DRAWN = 2000
"""Results in the figure, the newest."""

FILTERS = ("quantity", "device", "cooldown", "simulated")
COLOURS = (BLUE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


class HistoryPage:
    """The results of one quantity over time; a click leads to the run."""

    def __init__(self, document: Document, snapshot: Snapshot) -> None:
        self.wanted: frozenset[str] = frozenset()
        self._chosen = {name: argument(document, name) for name in FILTERS}
        root = set_up(document, "labnis history")
        self._calibrations: tuple[Calibration, ...] | None = None
        self._head, self._choices, self._table = html(), html(), html()
        self._place = Column(children=[], sizing_mode="stretch_width")
        root.children = [self._head, self._choices, self._place, self._table]
        self.show(snapshot)

    def show(self, snapshot: Snapshot) -> None:
        """Bring the page up to date; it changes where the ledger has."""
        self._head.text = head_of("history", snapshot) + problems_of(snapshot)
        if snapshot.calibrations == self._calibrations:
            return
        self._calibrations = snapshot.calibrations
        chosen = _complete(self._chosen, snapshot.calibrations)
        self._choices.text = "".join(_choice(name, chosen, snapshot.calibrations) for name in FILTERS)
        found = [one for one in snapshot.calibrations if _fits(one, chosen)]
        found.sort(key=lambda one: (one.measured, one.number))
        self._place.children = [_figure_of(chosen["quantity"], found[-DRAWN:])] if found else []
        self._table.text = _listed(found) if found else "<p>the ledger has no such results</p>"


def _value(one: Calibration, name: str) -> str:
    return ("1" if one.simulated else "0") if name == "simulated" else str(getattr(one, name))


def _complete(chosen: dict[str, str], known: Sequence[Calibration]) -> dict[str, str]:
    """What is shown: a quantity, and real results where there are any, unless the address says otherwise."""
    quantity = chosen["quantity"] or (known[-1].quantity if known else "")
    real = any(one.quantity == quantity and not one.simulated for one in known)
    return chosen | {"quantity": quantity, "simulated": chosen["simulated"] or ("0" if real else "1")}


def _fits(one: Calibration, chosen: dict[str, str]) -> bool:
    return all(_value(one, name) == value for name, value in chosen.items() if value)


def _choice(name: str, chosen: dict[str, str], known: Iterable[Calibration]) -> str:
    """The values that a filter can have, as links."""
    words = {"0": "real", "1": "simulated"} if name == "simulated" else {}
    values = sorted({_value(one, name) for one in known})
    values = ["", *values] if name in ("device", "cooldown") else values
    shown = []
    for value in values:
        text = words.get(value, value.replace("_", " ") if name == "quantity" else value) or "all"
        others = {key: v for key, v in (chosen | {name: value}).items() if v}
        shown.append(f"<b>{escaped(text)}</b>" if value == chosen[name] else link("/history", text, **others))
    return f"<p><small>{name}:</small> {' · '.join(shown)}</p>" if len(values) > 1 else ""


def _estimate(one: Calibration) -> Estimate:
    value, sigma = (math.nan if part is None else part for part in (one.value, one.sigma))
    return Estimate(value, sigma, one.unit, one.systematic, one.limit)


def _state(one: Calibration) -> str:
    return "revoked" if one.revoked is not None else "in doubt" if one.warnings else ""


def _figure_of(quantity: str, found: Sequence[Calibration]) -> Any:
    """Values with σ by noise (thick) and in total (thin) against the time at which they were measured."""
    known = [(one, _estimate(one)) for one in found if one.value is not None]
    scale, unit = scaled_unit(abs(known[-1][1].value) if known else 1.0, found[-1].unit)
    label = f"{quantity.replace('_', ' ')} ({unit})" if unit else quantity.replace("_", " ")
    made = plain_figure("", "measured", label, 380, x_axis_type="datetime", tools="tap,pan,box_zoom,wheel_zoom,reset")
    devices = list(dict.fromkeys(one.device for one, _ in known))
    for device in devices:
        colour = COLOURS[devices.index(device) % len(COLOURS)]
        for state in ("", "in doubt", "revoked"):
            part = [pair for pair in known if pair[0].device == device and _state(pair[0]) == state]
            if part:
                _draw(made, part, scale, state, ORANGE if state else colour, " ".join(filter(None, (device, state))))
    if known:
        made.legend[0].orientation = "horizontal"
        made.add_layout(made.legend[0], "above")  # in the figure it would hide results
    made.select_one(TapTool).callback = OpenURL(url="/run?id=@run", same_tab=True)
    return made


def _draw(
    made: Any, part: Sequence[tuple[Calibration, Estimate]], scale: float, state: str, colour: str, label: str
) -> None:
    value = [one.value / scale for _, one in part]
    total, noise = [one.sigma / scale for _, one in part], [one.statistical / scale for _, one in part]
    columns: dict[str, Any] = {"x": [one.measured for one, _ in part], "y": value}
    columns |= {"run": [one.run_id for one, _ in part]}
    for name, sigma in (("total", total), ("noise", noise)):
        columns |= {f"{name}_low": [v - s for v, s in zip(value, sigma, strict=True)]}
        columns |= {f"{name}_high": [v + s for v, s in zip(value, sigma, strict=True)]}
    source = ColumnDataSource(columns)
    made.segment("x", "total_low", "x", "total_high", source=source, color=colour, line_width=1)
    made.segment("x", "noise_low", "x", "noise_high", source=source, color=colour, line_width=4, line_alpha=0.6)
    marker, fill = {"": ("circle", colour), "in doubt": ("diamond", "white"), "revoked": ("x", colour)}[state]
    made.scatter(
        "x", "y", source=source, size=10, marker=marker, fill_color=fill, line_color=colour, line_width=2,
        legend_label=label or "no device",
    )  # fmt: skip


def _listed(found: Sequence[Calibration]) -> str:
    """The newest results as a table."""
    rows = []
    for one in reversed(found[-LISTED:]):
        state = _state(one)
        why = one.reason if one.revoked is not None else one.warnings
        marked = f'<span class="warn">? {escaped(state)}: {escaped(why)}</span>' if state else ""
        place = f"{escaped(one.device)} {escaped(one.cooldown)}"
        measured = link("/run", f"{one.measured.astimezone():%Y-%m-%d %H:%M}", id=one.run_id)
        rows.append((measured, escaped(_estimate(one)), place, marked))
    return table_of(("measured", "value ± σ", "device, cooldown", ""), rows)
