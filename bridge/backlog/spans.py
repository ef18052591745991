"""Takes intervals (start, end] of time, gives what they cover and which holes they leave; pure, whole milliseconds."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter

Span = tuple[int, int]

_START, _END = itemgetter(0), itemgetter(1)


class Spans:
    """A set of moments: all up to ``floor``, and those of the spans above it. Spans that touch become one.

    What is covered without a hole becomes part of the floor, so a bridge that missed nothing keeps one number.
    """

    def __init__(self, floor: int, spans: Iterable[Span] = ()) -> None:
        self.floor = floor
        self._spans: list[Span] = []
        for span in spans:
            self.add(*span)

    def __iter__(self) -> Iterator[Span]:
        """The spans above the floor, oldest first."""
        return iter(self._spans)

    def __contains__(self, moment: int) -> bool:
        after = bisect_left(self._spans, moment, key=_START)  # the first that begins at the moment or later
        return moment <= self.floor or (after > 0 and moment <= self._spans[after - 1][1])

    def add(self, start: int, end: int) -> None:
        """Cover (start, end]."""
        if end <= self.floor or start >= end:
            return
        first = bisect_left(self._spans, start, key=_END)
        beyond = bisect_right(self._spans, end, key=_START)
        if first < beyond:
            start, end = min(start, self._spans[first][0]), max(end, self._spans[beyond - 1][1])
        if start <= self.floor:
            self.floor = end
            del self._spans[:beyond]
        else:
            self._spans[first:beyond] = [(start, end)]

    def uncover(self, start: int, end: int = sys.maxsize) -> None:
        """Cover nothing of (start, end] any more. A floor above ``start`` comes down to it."""
        if start >= end or (start >= self.floor and not any(low < end and high > start for low, high in self._spans)):
            return
        left: list[Span] = []
        below = (min(self.floor, start) - 1, self.floor)  # stands for all up to the floor
        for low, high in (below, *self._spans):
            left += [(low, min(high, start)), (max(low, end), high)]
        (_, self.floor), *self._spans = (span for span in left if span[0] < span[1])

    def holes(self, until: int) -> Iterator[Span]:
        """What is not covered of (floor, until], oldest first."""
        edge = self.floor
        for start, end in self._spans:
            if start >= until:
                break
            yield edge, start
            edge = end
        if edge < until:
            yield edge, until

    def within(self, start: int, end: int) -> Iterator[Span]:
        """What is covered of (start, end], oldest first."""
        return Spans(start, self.holes(end)).holes(end)

    def covered_to(self, moment: int) -> int:
        """The last covered moment at or before ``moment``."""
        after = bisect_left(self._spans, moment, key=_START)
        return min(moment, self._spans[after - 1][1] if after else self.floor)
