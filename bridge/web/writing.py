"""Takes moments, spans and numbers, gives them as the page writes them: UTC, at most two units, digits in groups."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bridge.times import utc
from bridge.web.markup import Content, Html, tag

_THIN = "\N{NARROW NO-BREAK SPACE}"
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
_NAMED = 5
_MONTHS = ("", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def whole(number: int) -> str:
    """A count: 1234567 → 1 234 567."""
    return f"{number:,}".replace(",", _THIN)


def value(number: float) -> str:
    """A measured value, to four digits or to the whole: 0.12346 → 0.1235, 12345.6 → 12 346."""
    if math.isnan(number):
        return "–"
    if 1000 <= abs(number) < 1e15:
        return whole(round(number))
    return f"{number:.4g}"


def length(seconds: float) -> str:
    """A span of time, down to its second unit: 8100 → 2 h 15 min."""
    left, said = max(0, round(seconds)), list[str]()
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or said:
            said.append(f"{count}{_THIN}{unit}" if count else "")
        if len(said) == 2:
            break
    return " ".join(filter(None, said)) or f"0{_THIN}s"


def volume(size: float) -> str:
    """Bytes in the unit that fits, powers of 1000 as Azure bills: 12300000 → 12.3 MB."""
    for unit, power in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= power * 0.9995:
            return f"{size / power:.3g}{_THIN}{unit}"
    return f"{size / 1e3:.3g}{_THIN}kB"


def clock(moment: float, now: float) -> str:
    """A moment as text, with its day where that is not today's: ``10:00:00``, ``21 Nov 10:00:00``."""
    written = utc(moment)
    year, month, day = written[:10].split("-")
    today = utc(now)
    date = "" if today[:10] == written[:10] else f"{int(day)} {_MONTHS[int(month)]} "
    return (f"{date}{year} " if date and year != today[:4] else date) + written[11:19]


def time(moment: float | None, now: float, none: str = "not yet") -> Content:
    """The same as an element that says it in full; ``none`` where there is no such moment."""
    if moment is None:
        return none
    return tag("time", clock(moment, now), datetime=utc(moment))


def ago(moment: float, now: float) -> str:
    """How long ago it was."""
    return f"{length(now - moment)} ago"


def coming(moment: float, now: float) -> str:
    """How soon it comes."""
    return f"in {length(moment - now)}" if moment > now else "due now"


def some(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {whole(more)} more" if more > 0 else "")


def code(text: str) -> Html:
    """What a person would type."""
    return tag("code", text)
