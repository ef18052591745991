"""Takes what happened, what arrived and the account of it, gives nothing, or the rule that was broken.

A cell is what one cycle is of: (start, end], in epoch s. A moment is murky where it fell due under several eras.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bridge.account import Account, Detail
from bridge.points import Outcome, Settlement
from tests.flow.world.eras import Eras
from tests.flow.world.metrics import MODELS, Key, Metrics, Point
from tests.flow.world.service import Service


@dataclass
class History:
    """What happened to the bridge that its rules have exceptions for."""

    eras: Eras = field(default_factory=Eras)
    stops: set[float] = field(default_factory=set)  # ends of runs
    in_flight: list[set[Point]] = field(default_factory=list)  # when a process was killed
    murky: list[tuple[float, float]] = field(default_factory=list)
    unknown: list[tuple[float, float]] = field(default_factory=list)  # as it says itself
    forgetful: bool = False  # a process ended that could not write
    noteless: bool = False  # not even in place

    def is_murky(self, start: float, end: float) -> bool:
        return any(start < high and end > low for low, high in self.murky)


def follow(account: Account, before: Account | None, history: History) -> None:
    """At any time: the account adds up, and no total fell."""
    if not (history.unknown or history.forgetful):
        assert account.read == sum(sum(detail.outcomes.values()) for detail in account.details)
    if before is not None:
        assert all(account.points[one] >= before.points[one] for one in account.points)
        assert all(account.cycles[one] >= before.cycles[one] for one in Settlement if one != Settlement.WAITING)
        assert account.possibly_repeated >= before.possibly_repeated
        assert account.unconfirmed >= before.unconfirmed


class Rules:
    """In the end, when nothing waits any more. What is later than ``oldest`` must not have expired."""

    def __init__(self, history: History, metrics: Metrics, service: Service, account: Account, oldest: float) -> None:
        self._history = history
        self._eras = history.eras
        self._metrics = metrics
        self._service = service
        self._account = account
        self._oldest = oldest
        self._doubtful: set[Point] = service.doubtful.union(*history.in_flight)

    def verify(self, now: float) -> None:
        """Each grid time since the origin has each series of its selection, once, with the value that it must have."""
        history, account, rows = self._history, self._account, self._service.rows()
        assert account.origin is not None
        reached, untold = account.origin, 0
        for cell in reversed(account.details):
            if cell.start > reached:
                untold += self._hole(reached, cell.start)
            elif cell.start < reached:
                assert history.is_murky(cell.start, cell.time), "asked for twice"
            reached = max(reached, cell.time)
            self._verify_cell(cell, rows.get(cell.time, {}))
        if not (history.unknown or history.forgetful or history.murky):
            assert account.cycles[Settlement.EXPIRED] - untold == sum(
                detail.settlement is Settlement.EXPIRED for detail in account.details
            )
            assert account.due == len(account.details) + untold
            told = {cell.time for cell in account.details}
            assert [time for time in rows if time not in told and time > self._oldest] == []
        for time, found in rows.items() if not history.noteless else ():
            for key, values in found.items():
                once = len(values) == 1 or (key, time) in self._doubtful
                assert once, f"{key} at {time} is there {len(values)} times"
        if not history.forgetful:
            assert account.points[Outcome.REJECTED] <= self._service.refused
            repeated = sum(len(values) - 1 for found in rows.values() for values in found.values())
            assert repeated <= account.possibly_repeated
        assert reached == self._eras.edge(now - 5.0)

    def _verify_cell(self, cell: Detail, rows: dict[Key, list[float]]) -> None:
        start, end = cell.start, cell.time
        if self._history.is_murky(start, end):
            return
        era, stops = self._eras.at(start), self._history.stops
        assert start == self._eras.edge(start) or start in stops, f"({start}, {end}] is no cell"
        assert end == self._eras.next(start) or end in stops, f"({start}, {end}] is no cell"
        if cell.settlement is Settlement.NO_DATA:
            assert not self._metrics.scraped(end - era.interval, end)
            return
        expected: dict[Key, float] = {}
        for name in era.names:
            for model in MODELS:
                value = self._metrics.row((name, model), start, end)
                if value is not None:
                    expected[name, model] = value
        assert rows.keys() <= expected.keys(), f"{rows} at {end}: what is that?"
        for key, values in rows.items():
            if not math.isnan(expected[key]):
                assert set(values) == {expected[key]}, f"{key} of ({start}, {end}]"
        if cell.settlement is not Settlement.SETTLED:
            assert cell.settlement is Settlement.EXPIRED
            assert end <= self._oldest, f"({start}, {end}] expired too early"
            return
        gone = cell.outcomes.get(Outcome.REJECTED, 0) + cell.outcomes.get(Outcome.EXPIRED, 0)
        missing = len(expected) - len(rows)
        if any((key, end) in self._doubtful for key in expected):
            assert missing <= gone
        else:
            assert missing == gone, f"of ({start}, {end}] {missing} are missing"
            assert cell.outcomes.get(Outcome.ACCEPTED, 0) == len(rows)

    def _hole(self, start: float, end: float) -> int:
        """How many cells nothing is told of: they expired unread. What is not known is said to be."""
        count = 0
        while start < end:
            if known := [high for low, high in self._history.unknown if low <= start < high]:
                start = max(known)
                continue
            edge = self._eras.next(start)
            if self._history.is_murky(start, edge):
                start = edge
                continue
            assert self._account.cycles[Settlement.EXPIRED] > 0, f"({start}, {edge}] is lost"
            assert edge <= self._oldest, f"({start}, {edge}] expired too early"
            count, start = count + 1, edge
        return count
