"""The pages: what runs now, one run, and results over time. Each is a Bokeh document that is brought up to date."""

from collections.abc import Mapping
from html import escape
from typing import Any, Protocol

from bokeh.core.validation import silence
from bokeh.core.validation.warnings import EMPTY_LAYOUT
from bokeh.document import Document
from bokeh.models import Column
from bokeh.models.widgets import Div

from labnis.fit import Estimate
from labnis.ui.monitor._panels import Image, Panel, estimate_panel
from labnis.ui.monitor._plots import Drawing
from labnis.ui.monitor._snapshot import RunView, Snapshot
from labnis.ui.monitor._text import STYLE, card_of, head_of, problems_of

__all__ = ["Page", "RunPage", "StartPage", "argument", "html", "set_up"]

silence(EMPTY_LAYOUT)  # a run that has no plots yet

TIGHTENING = 8
"""Results of a run whose tightening is drawn."""

TEMPLATE = """
{% block postamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body { margin: 0 auto; padding: 6px; box-sizing: border-box; max-width: 1380px; background: #f6f6f6; }</style>
<script>
// A page that hears nothing for long, as after a phone has slept, opens itself again as soon as the monitor answers.
let heard = Date.now();
function listen() {
  const opened = window.Bokeh ? Bokeh.documents[0] : undefined;
  if (opened === undefined) return setTimeout(listen, 500);
  opened.on_change(() => { heard = Date.now(); });
}
async function look() {
  if (document.hidden || Date.now() - heard < 40000) return;
  const answer = await fetch("/status.json").catch(() => ({ok: false}));
  if (answer.ok) location.reload();
}
listen();
setInterval(look, 5000);
document.addEventListener("visibilitychange", look);
</script>
{% endblock %}
"""

GRID: dict[str, str | None] = {
    "display": "grid",
    "grid-template-columns": "repeat(auto-fit, minmax(min(100%, 360px), 1fr))",
    "gap": "8px",
}
"""One column on a phone, several on a wide screen."""


class Page(Protocol):
    """A page in a document.

    Attributes
    ----------
    wanted
        Ids of the runs of which it shows what is drawn.

    """

    wanted: frozenset[str]

    def show(self, snapshot: Snapshot) -> None:
        """Bring the page up to date."""


def set_up(document: Document, title: str) -> Column:
    """An empty column on the page of `document`."""
    document.title = title
    document.template = TEMPLATE  # type: ignore[assignment]  # the text of one, too
    root = Column(children=[], sizing_mode="stretch_width", styles={"gap": "8px"})
    document.add_root(root)
    return root


def say(place: Div, text: str) -> None:
    """Put `text` into a place, which takes no room without one."""
    place.text = text
    place.visible = bool(text)


def html(text: str = "") -> Div:
    """A piece of HTML, in which nothing is read as a formula."""
    return Div(text=text, disable_math=True, sizing_mode="stretch_width", stylesheets=[STYLE])


def argument(document: Document, name: str) -> str:
    """An argument of the page's address; empty where there is none."""
    request = getattr(document.session_context, "request", None)
    given: Mapping[str, list[bytes]] = request.arguments if request is not None else {}
    return given.get(name, [b""])[-1].decode("utf-8", "replace")


class _Plots:
    """Figures of panels, side by side where there is room."""

    def __init__(self, height: int, *, tools: bool) -> None:
        self.place = Column(children=[], sizing_mode="stretch_width", styles=GRID)
        self._kind: dict[str, Any] = {"height": height, "tools": tools}
        self._drawings: list[Drawing] = []

    def show(self, panels: tuple[Panel | Image, ...]) -> None:
        """Draw `panels`: into the same figures, where they have the same form."""
        if len(panels) == len(self._drawings):
            drawings = [
                old if old.update(panel) else Drawing(panel, **self._kind)
                for old, panel in zip(self._drawings, panels, strict=True)
            ]
        else:
            drawings = [Drawing(panel, **self._kind) for panel in panels]
        if drawings != self._drawings:
            self._drawings = drawings
            self.place.children = [one.figure for one in drawings]


class _Card:
    """A run with the tightening of its results."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._view: RunView | None = None
        self._text = html()
        self._plots = _Plots(180, tools=False)
        self.place = Column(children=[self._text, self._plots.place], sizing_mode="stretch_width")

    def show(self, view: RunView) -> None:
        if view is not self._view:
            self._view = view
            self._text.text = card_of(view, whole=self._whole)
            self._plots.show(_tightening(view) if self._whole or not view.final else ())


def _tightening(view: RunView) -> tuple[Panel, ...]:
    names = list(dict.fromkeys(name for one in view.estimates for name in one.results))[:TIGHTENING]
    panels = []
    for name in names:
        there = [one for one in view.estimates if name in one.results]
        values: list[Estimate] = [one.results[name] for one in there]
        panels.append(estimate_panel(name, [one.rows for one in there], values))
    return tuple(panels)


class StartPage:
    """What runs now, and the newest runs that have ended: first on a phone."""

    def __init__(self, document: Document, snapshot: Snapshot) -> None:
        self.wanted: frozenset[str] = frozenset()
        self._root = set_up(document, "labnis monitor")
        self._head, self._none, self._problems = html(), html(), html()
        self._cards: dict[str, _Card] = {}
        self.show(snapshot)

    def show(self, snapshot: Snapshot) -> None:
        """Bring the page up to date."""
        self._head.text = head_of("labnis monitor", snapshot)
        say(self._none, "" if snapshot.running else "<p><b>nothing runs</b></p>")
        say(self._problems, problems_of(snapshot))
        ended = [view for view in snapshot.views if view not in snapshot.running]
        shown = [*snapshot.running, *ended]
        self._cards = {view.run_id: self._cards.get(view.run_id) or _Card(whole=False) for view in shown}
        for view in shown:
            self._cards[view.run_id].show(view)
        children: list[Any] = [self._head, self._none]
        children += [self._cards[view.run_id].place for view in shown] + [self._problems]
        if self._root.children != children:
            self._root.children = children


class RunPage:
    """One run with all that is drawn of it."""

    def __init__(self, document: Document, snapshot: Snapshot) -> None:
        self._id = argument(document, "id")
        self.wanted = frozenset({self._id})
        root = set_up(document, "labnis run")
        self._head, self._problems = html(), html()
        self._card, self._plots = _Card(whole=True), _Plots(320, tools=True)
        root.children = [self._head, self._problems, self._card.place, self._plots.place]
        self.show(snapshot)

    def show(self, snapshot: Snapshot) -> None:
        """Bring the page up to date."""
        view = snapshot.view(self._id)
        self._head.text = head_of("run", snapshot)
        say(self._problems, problems_of(snapshot))
        if view is None:
            known = any(run.run_id == self._id for run in snapshot.runs)
            self._head.text += "<p>reading …</p>" if known else f"<p>there is no run {escape(self._id[:40])}</p>"
            return
        self._card.show(view)
        self._plots.show(view.panels)
