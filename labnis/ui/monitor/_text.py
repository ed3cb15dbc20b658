"""Texts of the pages as HTML. Every name and number that comes from a file or the ledger is escaped here."""

import math
from collections.abc import Iterable
from datetime import datetime
from html import escape
from urllib.parse import urlencode

from labnis.fit import Estimate, number_text
from labnis.printable import printable
from labnis.ui.monitor._snapshot import RUNNING, RunView, Snapshot
from labnis.ui.output import duration_text

__all__ = ["STYLE", "card_of", "escaped", "head_of", "link", "problems_of", "table_of"]

STYLE = """
:host { font: 16px/1.35 system-ui, sans-serif; color: #222; overflow-wrap: anywhere; }
:host > .bk-clearfix { display: block !important; }
h1 { font-size: 20px; margin: 0 0 4px; }
h2 { font-size: 18px; margin: 0; }
a { color: #00558a; }
p { margin: 4px 0; }
small { color: #555; }
.card { border: 1px solid #ccc; border-left: 6px solid #999; border-radius: 6px; padding: 8px 10px; background: #fff; }
.running { border-left-color: #0072B2; }
.done { border-left-color: #009E73; }
.failed, .interrupted, .aborted { border-left-color: #D55E00; }
.facts { display: flex; flex-wrap: wrap; gap: 2px 18px; }
.results { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 6px 12px; }
.facts b, .results b { font-size: 19px; font-variant-numeric: tabular-nums; }
.bar { height: 10px; background: #ddd; border-radius: 5px; margin: 6px 0; }
.bar div { height: 10px; border-radius: 5px; background: #0072B2; }
.warn { color: #a33c00; }
.mark { background: #F0E442; padding: 0 4px; border-radius: 3px; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: 2px 10px 2px 0; vertical-align: top; }
td:first-child, td.value { white-space: nowrap; }
td.value + td { min-width: 10em; }
td.value { font-size: 18px; font-weight: 600; font-variant-numeric: tabular-nums; }
@media (max-width: 600px) { tr { display: flex; flex-wrap: wrap; padding: 3px 0; } th { display: none; } }
"""

LONGEST = 300
"""Characters of a text from a file that are shown."""

_MARKS = {"running": "▶", "done": "✓", "aborted": "■", "failed": "✗", "interrupted": "✗"}


def escaped(text: object) -> str:
    """`text` for HTML: without control characters, cut, and escaped."""
    plain = printable(text)
    return escape(plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…")


def link(page: str, text: object, **arguments: str) -> str:
    """A link to a page of the monitor."""
    return f'<a href="{escape(f"{page}?{urlencode(arguments)}" if arguments else page)}">{escaped(text)}</a>'


def head_of(title: str, snapshot: Snapshot) -> str:
    """The title of a page, the way to the others, and of when it is."""
    ways = f"{link('/', 'now')} · {link('/history', 'history')}"
    return f"<h1>{escaped(title)}</h1><p>{ways} <small>read {_clock(snapshot.taken)}</small></p>"


def card_of(view: RunView, *, whole: bool = False) -> str:
    """A run in a card: what it is, how far, its state and results; with `whole` all its warnings, notes and events."""
    simulated = ' <span class="mark">SIMULATED</span>' if view.simulated else ""
    title = escaped(view.procedure) if whole else link("/run", view.procedure, id=view.run_id)
    place = " · ".join(filter(None, (view.device, view.cooldown, view.run_id)))
    lines = [
        f"<h2>{_MARKS.get(view.status, '')} {title}{simulated}</h2>",
        f"<p><small>{escaped(place)}, started {_clock(view.start)}</small></p>",
        _progress(view),
        _facts(view),
    ]
    if view.status not in (RUNNING, "done"):
        lines.append(f'<p class="warn"><b>{escaped(view.status)}</b>: {escaped(view.reason)}</p>')
    if view.results:
        said = "results" if view.final else f"live fit of {view.estimated_rows} rows, ± noise alone"
        said += "" if view.final or view.status == RUNNING else "; there is none of all rows"
        lines.append(f"<p><small>{said}</small></p>{_results(view)}")
    shown = slice(None) if whole else slice(-3, None)
    lines += [f'<p class="warn">&#9888; {escaped(text)}</p>' for text in view.warnings[shown]]
    lines += [f"<p><small>{escaped(text)}</small></p>" for text in view.notes if whole]
    for event in view.events[shown]:
        times = f" ({event.count} times)" if event.count > 1 else ""
        lines.append(
            f"<p><small>{_clock(event.time)}</small> <b>{escaped(event.kind)}</b>: {escaped(event.message)}{times}</p>"
        )
    return f'<div class="card {escape(view.status)}">{"".join(lines)}</div>'


def _progress(view: RunView) -> str:
    if view.status != RUNNING or math.isnan(view.per_cent):
        return ""
    return f'<div class="bar"><div style="width:{view.per_cent:.1f}%"></div></div>'


def _facts(view: RunView) -> str:
    of = f" of {view.planned}" if view.planned else ""
    facts = {"rows": f"{view.rows}{of}"}
    if view.status == RUNNING:
        if not math.isnan(view.per_cent):
            facts = {"measured": f"{view.per_cent:.0f} %", **facts}
        facts["to go"] = duration_text(view.remaining)
        facts |= {"bias": number_text(view.bias, "V"), "T_mxc": number_text(view.fridge_temperature, "K")}
    told = (f"<span><small>{name}</small> <b>{escaped(text)}</b></span>" for name, text in facts.items() if text != "?")
    return f'<div class="facts">{"".join(told)}</div>'


def _results(view: RunView) -> str:
    return f'<div class="results">{"".join(_result(view, name, one) for name, one in view.results.items())}</div>'


def _result(view: RunView, name: str, one: Estimate) -> str:
    mark = ' <span class="warn">?</span>' if name in view.doubtful else ""
    parts = ""
    if one.systematic is not None and one.limit is None:
        noise, systematic = (number_text(part, one.unit) for part in (one.statistical, one.systematic))
        parts = f"<br><small>noise {escaped(noise)}, systematic {escaped(systematic)}</small>"
    kind = {"quantity": name, "simulated": "1" if view.simulated else "0"}
    return f"<div>{link('/history', name.replace('_', ' '), **kind)}{mark}<br><b>{escaped(one)}</b>{parts}</div>"


def table_of(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of cells that are HTML; the second of each row is a value."""
    top = "".join(f"<th>{name}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td{_VALUE if at == 1 else str()}>{cell}</td>' for at, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<table>{f'<tr>{top}</tr>' if top else ''}{body}</table>"


_VALUE = ' class="value"'


def problems_of(snapshot: Snapshot) -> str:
    """What could not be read."""
    return "".join(f'<p class="warn">&#9888; {escaped(text)}</p>' for text in snapshot.problems[:10])


def _clock(time: datetime) -> str:
    """Local time; with the date where that is another day."""
    local, now = time.astimezone(), datetime.now().astimezone()
    return f"{local:%H:%M:%S}" if local.date() == now.date() else f"{local:%Y-%m-%d %H:%M}"
