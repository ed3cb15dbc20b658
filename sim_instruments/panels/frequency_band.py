"""Start, stop, center and span of a spectrum analyzer, which follow each other."""

from typing import Any

__all__ = ["couple_band"]


def couple_band(state: dict[str, Any], changed: str, *, lowest: float, highest: float, smallest_span: float) -> None:
    """Change those of start, stop, center and span in `state` (Hz) that were not set.

    Parameters
    ----------
    state
        Settings of a panel.
    changed
        The one that was set.
    lowest, highest
        Limits of the band (Hz).
    smallest_span
        Smallest span (Hz).

    """
    s = state
    if changed in ("start", "stop"):
        if s["stop"] - s["start"] < smallest_span:
            other, offset = ("stop", smallest_span) if changed == "start" else ("start", -smallest_span)
            s[other] = s[changed] + offset
        s["center"], s["span"] = (s["start"] + s["stop"]) / 2, s["stop"] - s["start"]
        return
    room = 2 * min(highest - s["center"], s["center"] - lowest)
    if changed == "center":
        s["span"] = max(smallest_span, min(s["span"], room))
    half = s["span"] / 2
    s["center"] = min(max(s["center"], lowest + half), highest - half)
    s["start"], s["stop"] = s["center"] - half, s["center"] + half
