"""Takes from when on which interval and selection were in force, gives the cells of their grids; pure, milliseconds.

A cell (start, end] lies between two neighbouring grid times: multiples of the interval since the epoch. Where an era
begins off its own grid, its first cell is the shorter one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bridge.backlog.spans import Span, Spans

_KEPT = 64  # changes of metrics.json or of the interval while gaps wait in each of them


class Era(NamedTuple):
    """What is in force for the cells that begin at ``since`` or later, until the next era."""

    since: int
    interval: int
    digest: str


class Piece(NamedTuple):
    """The part (start, end] of a hole that one cell of an era takes up."""

    start: int
    end: int
    era: Era


class Eras:
    """All eras in which something may still be asked for, oldest first. The first one reaches back for ever."""

    def __init__(self, eras: Iterable[Era] = ()) -> None:
        self._eras = list(eras)

    def __iter__(self) -> Iterator[Era]:
        return iter(self._eras)

    def __bool__(self) -> bool:
        return bool(self._eras)

    @property
    def current(self) -> Era:
        """The one in force now. Raises IndexError before the first."""
        return self._eras[-1]

    def open(self, era: Era, spans: Spans) -> None:
        """Let an era begin; those without a hole are forgotten.

        Of more than 64, the oldest go: what is open of them is then asked for as the next one says.
        """
        self._eras = [earlier for earlier in self._eras if earlier.since < era.since]
        self._prune(spans, era.since)
        self._eras = [*self._eras[-_KEPT + 1 :], era]

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """(start, end], cut at every grid time and at every change of era."""
        for low, high, era in self._parts(start, end):
            edge = low
            while edge < high:
                start, edge = edge, min((edge // era.interval + 1) * era.interval, high)
                yield Piece(start, edge, era)

    def count(self, start: int, end: int) -> int:
        """How many pieces there are, without making them."""
        return sum(-(-high // era.interval) - low // era.interval for low, high, era in self._parts(start, end))

    def grid_before(self, moment: int) -> int:
        """The newest edge of a cell at or before ``moment``; without any era, that moment."""
        if not self._eras:
            return moment
        first, *later = self._eras
        era = next((era for era in reversed(later) if era.since <= moment), first)
        edge = moment // era.interval * era.interval
        return edge if era is first else max(edge, era.since)

    def around(self, start: int, end: int) -> Span:
        """The whole cells that (start, end] touches."""
        return self.grid_before(start), next(self.pieces(self.grid_before(end - 1), sys.maxsize)).end

    def _parts(self, start: int, end: int) -> Iterator[tuple[int, int, Era]]:
        eras = self._eras  # replaced, never changed: an era may begin while a caller walks through the pieces
        for number, era in enumerate(eras):
            low = max(start, era.since) if number else start
            high = min(end, eras[number + 1].since) if number + 1 < len(eras) else end
            if low < high:
                yield low, high, era

    def _prune(self, spans: Spans, until: int) -> None:
        wanted = {era for hole in spans.holes(until) for _, _, era in self._parts(*hole)}
        self._eras = [era for era in self._eras if era in wanted]
