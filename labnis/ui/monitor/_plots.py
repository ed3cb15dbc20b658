"""Panels as Bokeh figures, whose data are replaced as a run grows.

Texts are plain: Bokeh would read others as formulas. Colours are those of Okabe and Ito, which all can tell apart.
"""

from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, LinearColorMapper, PlainText
from bokeh.models.annotations import Band, ColorBar, Title
from bokeh.palettes import Blues256, Cividis256, diverging_palette
from bokeh.plotting import figure

from labnis.printable import printable
from labnis.ui.monitor._panels import Image, Panel, Series

__all__ = ["BLUE", "ORANGE", "Drawing", "plain_figure"]

BLUE, ORANGE, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"
SEVERAL = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", BLACK)
COLOURS = {
    "measured": BLUE,
    "reverse": GREEN,
    "left out": ORANGE,
    "fit": ORANGE,
    "band": ORANGE,
    "estimates": BLUE,
    "truth": BLACK,
}
FALLING = tuple(f"#{255:02x}{round(255 - 161 * i / 127):02x}{round(255 - 255 * i / 127):02x}" for i in range(128))
LONGEST = 32
"""Characters of a text in a figure."""

BESIDE_ZERO = diverging_palette(Blues256, FALLING[::-1], 256)
"""Blue, white, vermillion."""


def plain_figure(title: str, x_label: str, y_label: str, height: int, **arguments: Any) -> Any:
    """An empty figure as wide as its place. Dragging scrolls the page, as on a phone, until a tool is chosen."""
    tools = {"tools": "pan,box_zoom,wheel_zoom,reset", "active_drag": None, "active_scroll": None}
    tools |= {"toolbar_location": "above"}
    made = figure(height=height, sizing_mode="stretch_width", **(tools | arguments))
    made.toolbar.logo = None
    made.title = Title(text=_text(title), text_font_size="15px")
    made.xaxis.axis_label, made.yaxis.axis_label = _text(x_label), _text(y_label)
    return made


def _text(text: str) -> PlainText:
    """One line; a longer one would make the figure wider than its place."""
    line = " ".join(printable(text).split())
    return PlainText(text=line if len(line) <= LONGEST else f"{line[:LONGEST]}…")


class Drawing:
    """The figure of one panel.

    Parameters
    ----------
    panel
        What is drawn.
    height
        Of the figure (pixels).
    tools
        Whether it can be moved and enlarged.

    Attributes
    ----------
    figure
        The Bokeh figure.

    """

    def __init__(self, panel: Panel | Image, *, height: int, tools: bool = True) -> None:
        self._panel = panel
        kinds = _axes(panel) | ({} if tools else {"tools": "", "toolbar_location": None})
        self.figure = plain_figure(panel.title, panel.x_label, panel.y_label, height, **kinds)
        self._sources: list[ColumnDataSource] = []
        self._colours: LinearColorMapper | None = None
        if isinstance(panel, Image):
            self._draw_image(panel)
        else:
            for number, series in enumerate(panel.series):
                self._draw(series, SEVERAL[number % len(SEVERAL)])
            self._place_legend(panel)

    def update(self, panel: Panel | Image) -> bool:
        """Replace the data by those of `panel`; False where that needs another figure."""
        if _form(panel) != _form(self._panel):
            return False
        if isinstance(panel, Image):
            self._sources[0].data = _pixels(panel)
            self._set_colours(panel)
        else:
            before = self._panel.series if isinstance(self._panel, Panel) else ()
            for source, old, new in zip(self._sources, before, panel.series, strict=True):
                if not _same(old, new):
                    source.data = _columns(new)
        self._panel = panel
        return True

    def _draw(self, series: Series, colour: str) -> None:
        source = ColumnDataSource(_columns(series))
        self._sources.append(source)
        colour = COLOURS.get(series.kind, colour)
        name = {"legend_label": series.label}
        match series.kind:
            case "band" | "estimates":
                edges: dict[str, Any] = {"base": "x", "lower": "low", "upper": "high", "source": source}
                self.figure.add_layout(Band(**edges, fill_color=colour, fill_alpha=0.3, line_alpha=0.0))
                self.figure.line("x", "y", source=source, color=colour, line_width=2, **name)
                if series.kind == "estimates":  # perhaps a single one; a band does not count for the range of the axis
                    self.figure.segment("x", "low", "x", "high", source=source, color=colour, **name)
                    self.figure.scatter("x", "y", source=source, color=colour, size=6, **name)
            case "fit":
                self.figure.line("x", "y", source=source, color=colour, line_width=2, **name)
            case "truth":
                self.figure.line("x", "y", source=source, color=colour, line_dash="dashed", **name)
            case "left out":
                self.figure.scatter("x", "y", source=source, color=colour, marker="x", size=9, **name)
            case "reverse":
                self.figure.scatter("x", "y", source=source, line_color=colour, fill_color=None, size=6, **name)
            case _:
                self.figure.scatter("x", "y", source=source, color=colour, size=4, **name)

    def _place_legend(self, panel: Panel) -> None:
        if len({one.label for one in panel.series}) < 2:
            self.figure.legend.visible = False
            return
        legend = self.figure.legend[0]
        legend.background_fill_alpha = 0.5
        legend.label_text_font_size, legend.padding, legend.spacing = "12px", 3, 0
        legend.location = "top_left"

    def _draw_image(self, panel: Image) -> None:
        self._colours = LinearColorMapper(palette=BESIDE_ZERO if panel.centred else Cividis256, nan_color="#eeeeee")
        self._set_colours(panel)
        self._sources.append(ColumnDataSource(_pixels(panel)))
        place: dict[str, Any] = {"x": "x", "y": "y", "dw": "dw", "dh": "dh", "source": self._sources[0]}
        self.figure.image(image="image", color_mapper=self._colours, **place)
        title = _text(panel.label)
        self.figure.add_layout(ColorBar(color_mapper=self._colours, title=title, width=12, padding=4), "right")

    def _set_colours(self, panel: Image) -> None:
        known = panel.values[np.isfinite(panel.values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        if panel.centred:
            high = float(np.percentile(np.abs(known), 99.5)) if known.size else 1.0
            low = -high
        if self._colours is not None:
            self._colours.update(low=low, high=high if high > low else low + 1.0)


def _axes(panel: Panel | Image) -> dict[str, Any]:
    if isinstance(panel, Image):
        return {"x_range": panel.x, "y_range": panel.y}
    kinds: dict[str, Any] = {"y_axis_type": "log"} if panel.logarithmic else {}
    return kinds | ({"match_aspect": True} if panel.square else {})


def _form(panel: Panel | Image) -> tuple[Any, ...]:
    """What cannot change without another figure."""
    labels = (type(panel), panel.title, panel.x_label, panel.y_label)
    if isinstance(panel, Image):
        return (*labels, panel.label, panel.x, panel.y, panel.centred)
    return (*labels, panel.logarithmic, tuple((one.kind, one.label) for one in panel.series))


def _columns(series: Series) -> dict[str, Any]:
    columns = {"x": series.x, "y": series.y}
    return columns if series.low is None else columns | {"low": series.low, "high": series.high}


def _pixels(panel: Image) -> dict[str, Any]:
    (left, right), (bottom, top) = panel.x, panel.y
    image = [panel.values.astype(np.float32)]
    return {"image": image, "x": [left], "y": [bottom], "dw": [right - left], "dh": [top - bottom]}


def _same(old: Series, new: Series) -> bool:
    pairs = ((old.x, new.x), (old.y, new.y), (old.low, new.low), (old.high, new.high))
    return all(a is b or (a is not None and b is not None and np.array_equal(a, b)) for a, b in pairs)
