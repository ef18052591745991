"""Takes changes of the interval and of the selection, gives the cell of any moment: the rule, written a second time."""

from __future__ import annotations

from typing import NamedTuple


class Era(NamedTuple):
    """What is in force for the cells that begin at ``since`` or later."""

    since: float
    interval: float
    names: tuple[str, ...]


class Eras:
    """From when on which interval and selection were in force."""

    def __init__(self) -> None:
        self._eras: list[Era] = []

    def __bool__(self) -> bool:
        return bool(self._eras)

    def change(self, now: float, interval: float, names: tuple[str, ...]) -> float | None:
        """From the grid time before ``now`` on, so that the next one is the first of its kind; None: nothing changed."""
        if self._eras and self._eras[-1][1:] == (interval, names):
            return None
        since = self.edge(now) if self._eras else now // interval * interval
        self._eras = [era for era in self._eras if era.since < since] + [Era(since, interval, names)]
        return since

    def at(self, start: float) -> Era:
        """The one for a cell that begins there."""
        return next((era for era in reversed(self._eras) if era.since <= start), self._eras[0])

    def edge(self, moment: float) -> float:
        """The newest edge of a cell at or before a moment."""
        era = self.at(moment)
        edge = moment // era.interval * era.interval
        return edge if era is self._eras[0] else max(edge, era.since)

    def next(self, start: float) -> float:
        """Where the cell ends that holds what comes after ``start``."""
        era = self.at(start)
        later = [one.since for one in self._eras if one.since > start]
        return min([(start // era.interval + 1) * era.interval, *later])
