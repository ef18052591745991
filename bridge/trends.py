"""Takes reports, gives the values of each metric in the last hour, one a minute: a ring of numbers for each."""

from __future__ import annotations

import math
from array import array
from itertools import islice

from bridge.points import Report

_MINUTES = 60
_KEPT = 500  # metrics; half a kilobyte each


class Trends:
    """Minutes are those of the cycles' own times."""

    def __init__(self) -> None:
        self._newest = 0  # minute
        self._rings: dict[str, array[float]] = {}

    def add(self, report: Report) -> None:
        """What was read for its minute."""
        minute = int(report.time // 60)
        if not report.metrics or minute < self._newest:
            return
        for passed in range(max(self._newest + 1, minute - _MINUTES + 1), minute + 1):
            for ring in self._rings.values():
                ring[passed % _MINUTES] = math.nan
        self._newest = minute
        for name, glance in islice(report.metrics.items(), _KEPT):
            ring = self._rings.setdefault(name, array("d", [math.nan] * _MINUTES))
            ring[minute % _MINUTES] = glance.value
        for name in [name for name, ring in self._rings.items() if all(map(math.isnan, ring))]:
            del self._rings[name]  # not selected any more

    def values(self) -> dict[str, tuple[float, ...]]:
        """By metric, oldest first; NaN where there was none."""
        first = (self._newest + 1) % _MINUTES
        return {name: (*ring[first:], *ring[:first]) for name, ring in self._rings.items()}
