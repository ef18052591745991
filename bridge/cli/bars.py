"""Takes stretches of time, or the values of an hour, gives them in characters: what each of the places of a line shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from bridge.account import Fate
from bridge.web.charts import FATES, SPAN

_BARS = "▁▂▃▄▅▆▇█"
_FLAT = _BARS[3]
_WORST = list(FATES)


def timeline(stretches: Iterable[tuple[float, float, Fate]], now: float, cells: int) -> Iterator[Fate | None]:
    """The worst fate in each of so many equal parts of the last 48 h, oldest first; None where nothing was due."""
    found: list[Fate | None] = [None] * cells
    for start, end, fate in stretches:
        first, last = ((moment - now) / SPAN * cells + cells for moment in (start, end))
        for cell in range(max(0, math.floor(first)), min(cells, math.ceil(last))):
            found[cell] = max(filter(None, (found[cell], fate)), key=_WORST.index)
    return iter(found)


def sparkline(values: Sequence[float | None], bars: int) -> str:
    """So many bars, each the mean of an equal part of the values; blank where a part has none."""
    each = len(values) // bars
    parts = ([one for one in values[n : n + each] if one is not None] for n in range(0, bars * each, each))
    means = [sum(part) / len(part) if part else None for part in parts]
    known = [one for one in means if one is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)

    def bar(one: float | None) -> str:
        if one is None:
            return " "
        return _BARS[round((one - low) / (high - low) * (len(_BARS) - 1))] if high > low else _FLAT

    return "".join(map(bar, means))
