"""Takes moments, spans and numbers, gives them as a terminal writes them: as the page does, in characters that all have."""

from __future__ import annotations

import math

from bridge.web import writing


def count(number: int, noun: str) -> str:
    """1 cycle, 2,000 cycles."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def value(number: float | None) -> str:
    """A measured value; None where there is none."""
    return plain(writing.value(math.nan if number is None else number), ",")


def length(seconds: float) -> str:
    """A span of time: 2 h 15 min."""
    return plain(writing.length(seconds))


def ago(moment: float, now: float) -> str:
    """How long ago it was."""
    return plain(writing.ago(moment, now))


def plain(text: str, space: str = " ") -> str:
    """Without the narrow space of the page, which few terminals have."""
    return text.replace("\N{NARROW NO-BREAK SPACE}", space)
