"""Takes stretches of time, or values of an hour, gives drawings in SVG, each with a text that says the same.

Colours and patterns stand in the style sheet, by class: the page allows no styles of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum

from bridge.account import Fate
from bridge.states import State
from bridge.web.markup import Html, join, tag
from bridge.web.writing import clock, length, value

SPAN = 48 * 3600.0  # s, of a timeline
Stretch = tuple[float, float, Fate]

# From the best to the worst: of a slot that is too small to draw its stretches, the last one counts.
FATES: Mapping[Fate, str] = {
    Fate.DELIVERED: "delivered",
    Fate.REPAIRED: "repaired: delivered later",
    Fate.NOTHING: "nothing to send",
    Fate.REJECTED: "some or all points rejected",
    Fate.NO_DATA: "no data",
    Fate.WAITING: "waiting",
    Fate.UNKNOWN: "unknown: the record was damaged",
    Fate.EXPIRED: "expired",
}
_WORST = list(FATES)
_DRAWN = 400  # stretches; a bridge whose every second cycle has no data would have thousands
_SLOT = 600.0  # s
_BAND = 34  # px


class Tone(str, Enum):
    """How a state feels, each with a colour and a shape."""

    GOOD = "good"  # all arrives
    BUSY = "busy"  # goes well, and is not done yet
    WARN = "warn"  # nothing arrives now; it passes, or a look is worth it
    BAD = "bad"  # nothing arrives until somebody does something


TONES: Mapping[State, Tone] = {
    State.DELIVERING: Tone.GOOD,
    State.STARTING: Tone.BUSY,
    State.CATCHING_UP: Tone.BUSY,
    State.NOTHING_TO_SEND: Tone.WARN,
    State.NO_DATA: Tone.WARN,
    State.THROTTLED: Tone.WARN,
    State.QUOTA: Tone.WARN,
    State.UNREACHABLE: Tone.WARN,
    State.PROMETHEUS_UNREACHABLE: Tone.WARN,
    State.MISCONFIGURED: Tone.BAD,
    State.CLOCK: Tone.BAD,
    State.REJECTED: Tone.BAD,
    State.REFUSED: Tone.BAD,
    State.INTERCEPTED: Tone.BAD,
    State.SELECTION_UNREADABLE: Tone.BAD,
    State.FAULT: Tone.BAD,
}
_SHAPES: Mapping[Tone, tuple[str, str]] = {  # an outline, and a mark within, of 24 × 24
    Tone.GOOD: ("M12 1a11 11 0 1 0 0 22a11 11 0 1 0 0-22z", "M7 12.5l3.5 3.5l6.5-7.5"),
    Tone.BUSY: ("M12 1a11 11 0 1 0 0 22a11 11 0 1 0 0-22z", "M7 8l4 4l-4 4M13 8l4 4l-4 4"),
    Tone.WARN: ("M12 1.5L23 22H1z", "M12 9v6M12 18v.5"),
    Tone.BAD: ("M7.5 1h9L23 7.5v9L16.5 23h-9L1 16.5v-9z", "M8 8l8 8M16 8l-8 8"),
}


def shape(tone: Tone) -> Html:
    """The shape of a tone; the words beside it say the same."""
    outline, mark = _SHAPES[tone]
    return tag(
        "svg",
        tag("path", class_="outline", d=outline),
        tag("path", class_="mark", d=mark),
        class_="shape",
        viewBox="0 0 24 24",
        aria_hidden="true",
    )


def drawn(timeline: Sequence[Stretch], now: float) -> list[tuple[float, float, Fate, str]]:
    """The stretches of the last 48 h, with their words. Of too many, one a slot of ten minutes: the worst there."""
    begin = now - SPAN
    seen = [(max(start, begin), min(end, now), fate) for start, end, fate in timeline if end > begin and start < now]
    if len(seen) <= _DRAWN:
        return [(start, end, fate, FATES[fate]) for start, end, fate in seen]
    slots: dict[int, set[Fate]] = {}
    for start, end, fate in seen:
        for slot in range(int(start // _SLOT), math.ceil(end / _SLOT)):
            slots.setdefault(slot, set()).add(fate)
    return [
        (
            max(begin, slot * _SLOT),
            min(now, (slot + 1) * _SLOT),
            max(fates, key=_WORST.index),
            " · ".join(FATES[fate] for fate in FATES if fate in fates),
        )
        for slot, fates in sorted(slots.items())
    ]


def totals(timeline: Iterable[Stretch], now: float) -> dict[Fate, float]:
    """How many seconds of the last 48 h had each fate; only those that occur, best first."""
    seconds = dict.fromkeys(FATES, 0.0)
    for start, end, fate in timeline:
        seconds[fate] += max(0.0, min(end, now) - max(start, now - SPAN))
    return {fate: seconds[fate] for fate in FATES if seconds[fate]}


def timeline(stretches: Sequence[tuple[float, float, Fate, str]], now: float, label: str) -> Html:
    """A band of 48 h that ends now, one rect a stretch, the worst on top: a short one is as wide as its outline."""
    cells = (
        tag(
            "rect",
            tag("title", f"{words}: {clock(start, now)} to {clock(end, now)}, {length(end - start)}"),
            class_=fate.value,
            fill=f"url(#{fate.value})",
            x=_percent((start - now) / SPAN + 1),
            width=_percent((end - start) / SPAN),
            y=2,
            height=_BAND - 4,
        )
        for start, end, fate, words in sorted(stretches, key=lambda one: _WORST.index(one[2]))
    )
    scale = (
        tag("text", text, x=f"{place}%", y=_BAND + 16, text_anchor=anchor)
        for place, text, anchor in (
            (0, "48 h ago", "start"),
            (25, "36 h", "middle"),
            (50, "24 h", "middle"),
            (75, "12 h", "middle"),
            (100, "now", "end"),
        )
    )
    ticks = (tag("line", x1=f"{x}%", x2=f"{x}%", y1=_BAND, y2=_BAND + 4) for x in range(0, 101, 25))
    return tag(
        "svg",
        tag("defs", *map(_pattern, FATES)),
        tag("rect", class_="undue", x=0, y=2, width="100%", height=_BAND - 4),
        *cells,
        *ticks,
        *scale,
        class_="timeline",
        role="img",
        aria_label=label,
    )


def swatch(fate: Fate) -> Html:
    """What a fate looks like, for a legend."""
    rect = tag("rect", class_=fate.value, fill=f"url(#{fate.value})", x=1, y=1, width=18, height=12)
    return tag("svg", rect, class_="swatch", viewBox="0 0 20 14", aria_hidden="true")


def sparkline(values: Sequence[float], minutes: int) -> Html:
    """The values of an hour, one a minute, oldest first; NaN breaks the line where it lasts for ``minutes`` or more."""
    known = [one for one in values if not math.isnan(one)]
    if not known:
        return tag("span", "–", class_="none")
    low, high = min(known), max(known)
    height = 16 / (high - low) if high > low else 0.0
    path, before = "", -math.inf
    for place, one in enumerate(values):
        if math.isnan(one):
            continue
        y = 18 - (one - low) * height if height else 10.0
        path += f"L{place} {y:.3g}" if place - before <= minutes else f"M{place} {y:.3g}h0"
        before = place
    return tag(
        "svg",
        tag("title", words := f"least {value(low)}, most {value(high)}"),
        tag("path", d=path),
        class_="sparkline",
        viewBox=f"-1 0 {len(values) + 1} 20",
        preserveAspectRatio="none",
        role="img",
        aria_label=words,
    )


def _pattern(fate: Fate) -> Html:
    """Told apart without colour too: solid, lines, dots, a grid; which, says the style sheet."""
    marks: Iterator[Html] = (
        tag("path", class_=f"{fate.value} {kind}", d=path)
        for kind, path in (("lines", "M0 0v8M4 0v8"), ("rows", "M0 4h8"), ("dots", "M2 2h0M6 6h0"))
    )
    return tag(
        "pattern",
        tag("rect", class_=f"{fate.value} ground", width=8, height=8),
        join(marks),
        id=fate.value,
        width=8,
        height=8,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )


def _percent(part: float) -> str:
    return f"{part * 100:.4g}%"
