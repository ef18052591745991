"""Takes what became of stretches of time, one after the other, gives what became of all time since two days ago; pure.

Whole milliseconds. Of neighbours with one fate only their common stretch is kept, so an undisturbed bridge keeps one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping

from bridge.account import Fate
from bridge.backlog.spans import Span, Spans
from bridge.points import Outcome, Settlement

_KEPT = 48 * 3_600_000  # as long as the service takes points


class Chronicle:
    """The fates of (start, end] by time. What is noted later counts."""

    def __init__(self, known: Mapping[str, Iterable[Span]] | None = None) -> None:
        self._spans = {fate: Spans(0) for fate in Fate}
        for fate, spans in (known or {}).items():
            for span in spans:
                self._spans[Fate(fate)].add(*span)

    def __iter__(self) -> Iterator[tuple[int, int, Fate]]:
        """The stretches, oldest first."""
        return iter(sorted((*span, fate) for fate, spans in self._spans.items() for span in spans))

    def note(self, start: int, end: int, fate: Fate) -> None:
        """Let this have become of (start, end]."""
        for other, spans in self._spans.items():
            if other is not fate:
                spans.uncover(start, end)
        self._spans[fate].add(start, end)
        self.erase(0, end - _KEPT)

    def finish(self, start: int, time: int, settlement: Settlement, outcomes: Mapping[Outcome, int]) -> None:
        """A cycle ended. Where a later one had its turn before, it was repaired."""
        fate = Fate.REPAIRED if time < self._newest else Fate.DELIVERED
        if settlement is not Settlement.SETTLED:
            fate = Fate(settlement.value)
        elif outcomes.get(Outcome.REJECTED) or outcomes.get(Outcome.EXPIRED):
            fate = Fate.REJECTED
        elif not outcomes.get(Outcome.ACCEPTED):
            fate = Fate.NOTHING
        self.note(start, time, fate)

    def shown(self, unknown: Iterable[Span], waiting: Iterable[Span]) -> list[tuple[int, int, Fate]]:
        """All of it, with what is not known and what waits."""
        now = Chronicle(self.dump())
        for fate, spans in ((Fate.UNKNOWN, unknown), (Fate.WAITING, waiting)):
            for span in spans:
                now.note(*span, fate)
        return list(now)

    @property
    def _newest(self) -> int:
        return max((end for spans in self._spans.values() for _, end in spans), default=0)

    def erase(self, start: int, end: int = sys.maxsize) -> None:
        """Nothing became of (start, end], or not yet."""
        for spans in self._spans.values():
            spans.uncover(start, end)

    def dump(self) -> dict[str, list[Span]]:
        """All of it, as the constructor takes it."""
        return {fate.value: list(spans) for fate, spans in self._spans.items() if list(spans)}
