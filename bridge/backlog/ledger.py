"""Takes events, one at a time, gives what is settled and what waits; pure.

An event is JSON: ``[kind, value, …]``; each kind is a method here. The same events give the same ledger, so what one
process knew is what the next one reads (``journal``). Times are whole milliseconds since the epoch.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bridge.account import Fate
from bridge.backlog.chronicle import Chronicle
from bridge.backlog.eras import Era, Eras
from bridge.backlog.held import Held, Outcomes, Parcel, State, batch_file
from bridge.backlog.spans import Span, Spans
from bridge.points import Outcome, Rejection, Settlement

VERDICTS = (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.EXPIRED)
UNSENT = (Outcome.NOT_FINITE, Outcome.LEFT_OUT)
READING = (Outcome.WAITING, *UNSENT)

_READINGS_KEPT = 3_000  # of gaps: two days of minutes
ROWS_KEPT = 100
_REJECTIONS_KEPT = 300
_ORDERS_KEPT = 100


class Row(NamedTuple):
    """A cycle in the account."""

    start: int
    settlement: Settlement
    outcomes: Outcomes


class Ledger:
    """All that a backlog knows. ``number`` counts the events."""

    def __init__(self) -> None:
        self.number = 0
        self.origin: int | None = None
        self.newest = 0  # the newest grid time that fell due
        self.spans = Spans(0)  # what is not asked for, or not any more
        self.unbegun = Spans(0)  # what of it never was, and was no task of ours
        self.eras = Eras()
        self.selections: dict[str, str] = {}
        self.readings: dict[int, Outcomes] = {}  # the last one of each gap
        self.held: dict[int, Held] = {}  # by the number of the event that began it
        self.points: Outcomes = Counter()
        self.cycles: Counter[Settlement] = Counter()
        self.possibly_repeated = 0
        self.unconfirmed = 0
        self.last_delivered: int | None = None
        self.rows: dict[int, Row] = {}  # finished cycles
        self.rejections: deque[tuple[int, Rejection]] = deque(maxlen=_REJECTIONS_KEPT)
        self.unknown: list[Span] = []
        self.chronicle = Chronicle()
        self.orders: deque[str] = deque(maxlen=_ORDERS_KEPT)  # taken, by their names: a file may outlive it

    def apply(self, event: Sequence[Any]) -> list[str]:
        """Take in what happened; the batch files that nobody needs any more."""
        self.number += 1
        kind, *values = event
        unneeded: list[str] | None = getattr(self, f"_{kind}")(*values)
        return unneeded or []

    def cell_start(self, time: int) -> int:
        """Where the cycle that ends at ``time`` begins: at an edge of its cell, or after what is covered of that."""
        return max(self.eras.grid_before(time - 1), self.spans.covered_to(time))

    def overdue(self, edge: int) -> bool:
        """Whether anything would expire that is not later than ``edge``."""
        times = [held.time for held in self.held.values()] + [end for _, end in self.unknown]
        return any(self.spans.holes(edge)) or any(time <= edge for time in times)

    def _era(self, since: int, interval: int, digest: str, text: str) -> None:
        """An interval and a selection are in force from now on; the first ones set the origin."""
        if self.origin is None:
            self.origin, self.newest, self.spans, self.unbegun = since, since, Spans(since), Spans(since)
            for span in self.unknown:
                self.unbegun.uncover(*span)
        self.eras.open(Era(since, interval, digest), self.spans)
        known = self.selections | {digest: text}
        self.selections = {era.digest: known[era.digest] for era in self.eras}

    def _begin(
        self, start: int, time: int, parcels: list[tuple[int, int, int]], not_finite: int, left_out: int
    ) -> None:
        """A cycle was read, and its batches are written."""
        self._due(time)
        self.readings.pop(time, None)
        unsent = Counter({Outcome.NOT_FINITE: not_finite, Outcome.LEFT_OUT: left_out})
        self.held[self.number] = Held(start, time, {n: Parcel(*one) for n, one in enumerate(parcels)}, unsent)

    def _intent(self, cycle: int, number: int) -> None:
        """A batch is about to be posted."""
        if (held := self.held.get(cycle)) and (parcel := held.parcels.get(number)):
            if parcel.state is State.DOUBTFUL:
                self.possibly_repeated += parcel.points
            parcel.state = State.POSTED

    def _verdict(
        self,
        cycle: int,
        number: int,
        decided: list[int],
        rest: list[tuple[int, int, int, int]],
        doubts: list[int],
        rejections: list[list[Any]],
    ) -> list[str]:
        """What became of a posted batch: its points by VERDICTS, and ``rest``, the batches that wait in its place.

        ``doubts`` are its unconfirmed and its possibly repeated points.
        """
        held = self.held.get(cycle)
        if held is None or held.parcels.pop(number, None) is None:
            return []
        for part, points, size, check in rest:
            held.parcels[part] = Parcel(points, size, check)
        final = Counter(dict(zip(VERDICTS, decided, strict=True)))
        held.decided += final
        held.lost |= doubts[1] > 0
        self.points += final
        self.unconfirmed += doubts[0]
        self.possibly_repeated += doubts[1]
        self.rejections.extend((held.time, Rejection(*values)) for values in rejections)
        if final[Outcome.ACCEPTED]:
            self.last_delivered = max(held.time, self.last_delivered or 0)
        return [] if number in held.parcels else [batch_file(held.time, cycle, number)]

    def _end(self, cycle: int) -> list[str]:
        """Nothing more is posted of a cycle for now: it is settled, or leaves batches over, or is a gap again.

        It is a gap where nothing of it was decided and no batch is in doubt: Prometheus will give the same points. What
        ends off the grid would be asked for in other pieces, so it stays as it is once a reply to it was lost.
        """
        held = self.held.get(cycle)
        if held is None:
            return []
        for parcel in held.parcels.values():
            parcel.state = State.READY if parcel.state is State.READY else State.DOUBTFUL
        doubt = any(parcel.state is State.DOUBTFUL for parcel in held.parcels.values())
        doubt |= held.lost and self.eras.grid_before(held.time) != held.time
        if held.parcels and not (held.kept or held.decided or doubt):
            del self.held[cycle]
            self._wait(held.time, *(held.undecided[one] for one in READING))
            return [batch_file(held.time, cycle, number) for number in held.parcels]
        if not held.kept:
            held.kept = True
            self.spans.add(held.start, held.time)
            self.points += held.unsent
        if not held.parcels:
            del self.held[cycle]
            self._finish(held.start, held.time, Settlement.SETTLED, held.decided + held.unsent)
        return []

    def _recover(self) -> list[str]:
        """The process that did all this has ended, however it did."""
        return [file for cycle in list(self.held) for file in self._end(cycle)]

    def _settle(self, start: int, time: int, settlement: str, outcomes: Mapping[str, int]) -> None:
        """A cycle without posts is done."""
        self._due(time)
        self.readings.pop(time, None)
        self.spans.add(start, time)
        counts = Counter({Outcome(outcome): count for outcome, count in outcomes.items()})
        self.points += counts
        self._finish(start, time, Settlement(settlement), counts)

    def _wait(self, time: int, *reading: int) -> None:
        """A cycle was read, and could not be delivered. What ends off the grid is never asked for again as it was."""
        self._due(time)
        if time not in self.spans and self.eras.grid_before(time) == time:
            self.readings[time] = Counter(dict(zip(READING, reading, strict=True)))
        if len(self.readings) > _READINGS_KEPT:
            del self.readings[min(self.readings)]

    def _expire(self, edge: int) -> list[str]:
        """Nobody takes points any more that are not later than ``edge``, an edge of a cell."""
        for hole in self.spans.holes(edge):
            self.cycles[Settlement.EXPIRED] += self.eras.count(*hole)
            self.chronicle.note(*hole, Fate.EXPIRED)
        for time in [time for time in self.readings if time <= edge]:
            reading = self.readings.pop(time)
            outcomes = Counter({one: reading[one] for one in UNSENT})
            outcomes[Outcome.EXPIRED] = reading[Outcome.WAITING]
            self.points += outcomes
            self._show(time, Row(self.cell_start(time), Settlement.EXPIRED, outcomes))
        self.spans.add(self.spans.floor, edge)
        self.unknown = [span for span in self.unknown if span[1] > edge]
        unneeded = []
        for cycle, held in list(self.held.items()):
            if held.time <= edge:
                del self.held[cycle]
                expired = Counter({Outcome.EXPIRED: held.waiting})
                self.points += expired
                self._finish(held.start, held.time, Settlement.EXPIRED, expired + held.decided + held.unsent)
                unneeded += [batch_file(held.time, cycle, number) for number in held.parcels]
        return unneeded

    def _unknown(self, start: int, end: int) -> list[str]:
        """Of (start, end] it is not known what was delivered: it is not asked for again, and not in the account."""
        self._due(end)
        self.unknown.append((start, end))
        self.chronicle.erase(start, end)
        self.spans.add(start, end)
        self.unbegun.uncover(start, end)
        self.readings = {time: reading for time, reading in self.readings.items() if not start < time <= end}
        gone = [(cycle, held) for cycle, held in self.held.items() if start < held.time <= end]
        for cycle, _ in gone:
            del self.held[cycle]
        return [batch_file(held.time, cycle, number) for cycle, held in gone for number in held.parcels]

    def _again(self, start: int, end: int, repeat: bool, order: str) -> None:  # noqa: FBT001 — as in the event
        """What was never begun of (start, end], and with ``repeat`` all of it, falls due; both are edges of cells.

        Cells of which batches are held stay: those are posted anyway.
        """
        kept = Spans(start, (self.eras.around(held.start, held.time) for held in self.held.values()))
        due = [part for rest in kept.holes(end) for part in ([rest] if repeat else self.unbegun.within(*rest))]
        for part in due:
            self.spans.uncover(*part)
            self.unbegun.uncover(*part)
            self.chronicle.erase(*part)
        self.unknown = [left for low, high in self.unknown for left in Spans(low, due).holes(high)]
        self._begun_at(since for since, _ in due)
        if order:
            self.orders.append(order)

    def _back(self, moment: int) -> None:
        """The clock was far ahead and came back: nothing later than ``moment`` fell due yet."""
        self.spans.uncover(moment)
        self.unbegun.uncover(moment)
        self.chronicle.erase(moment)
        self._begun_at([moment])
        self.newest = moment

    def _begun_at(self, moments: Iterable[int]) -> None:
        """The account reaches back to all of them."""
        assert self.origin is not None
        self.origin = min([self.origin, *moments])

    def _due(self, time: int) -> None:
        self.newest = max(self.newest, self.eras.grid_before(time))

    def _finish(self, start: int, time: int, settlement: Settlement, outcomes: Outcomes) -> None:
        self.cycles[settlement] += 1
        self.chronicle.finish(start, time, settlement, outcomes)
        self._show(time, Row(start, settlement, outcomes))

    def _show(self, time: int, row: Row) -> None:
        self.rows[time] = row
        if len(self.rows) > ROWS_KEPT:
            del self.rows[min(self.rows)]
