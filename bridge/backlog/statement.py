"""Takes a ledger, gives the account as it stands: its numbers, its newest cycles, what became of the last two days; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import nlargest

from bridge.account import Account, Detail
from bridge.backlog.eras import Piece
from bridge.backlog.held import Outcomes
from bridge.backlog.ledger import READING, ROWS_KEPT, Ledger, Row
from bridge.backlog.spans import Span
from bridge.points import Outcome, Settlement

_UNREAD = 2 * 3_600_000  # ms: an interval before may have been a second


def account(ledger: Ledger) -> Account:
    """The numbers as they stand."""
    waiting: Outcomes = Counter()
    for reading in ledger.readings.values():
        waiting.update(reading)
    for held in ledger.held.values():
        waiting.update(held.undecided)
    kept = [held for held in ledger.held.values() if held.kept]
    holes = list(ledger.spans.holes(ledger.newest)) if ledger.eras else []
    gaps = sum(ledger.eras.count(*hole) for hole in holes)
    oldest = [next(ledger.eras.pieces(*hole)).end for hole in holes[:1]]
    oldest += [held.time for held in kept]
    return Account(
        origin=_seconds(ledger.origin),
        cycles={one: ledger.cycles[one] for one in Settlement} | {Settlement.WAITING: gaps + len(kept)},
        points={one: ledger.points[one] for one in Outcome if one is not Outcome.WAITING},
        waiting={one: waiting[one] for one in READING},
        leftovers=len(kept),
        possibly_repeated=ledger.possibly_repeated,
        unconfirmed=ledger.unconfirmed,
        last_delivered=_seconds(ledger.last_delivered),
        oldest_waiting=_seconds(min(oldest, default=None)),
        details=tuple(
            Detail(row.start / 1000, time / 1000, row.settlement, row.outcomes)
            for time, row in _newest_rows(ledger, holes)
        ),
        rejections=tuple((time / 1000, rejection) for time, rejection in reversed(ledger.rejections)),
        unknown=tuple((start / 1000, end / 1000) for start, end in ledger.unknown),
        timeline=tuple(
            (start / 1000, end / 1000, fate)
            for start, end, fate in ledger.chronicle.shown(
                ledger.unknown, [*holes, *((held.start, held.time) for held in kept)]
            )
        ),
    )


def _newest_rows(ledger: Ledger, holes: Sequence[Span]) -> Iterator[tuple[int, Row]]:
    """The newest cycles, newest first: finished, waiting with batches, waiting as gaps, read or not."""
    held = {one.time: one for one in ledger.held.values()}
    unread = {piece.end: piece for piece in _newest_pieces(ledger, holes)}
    for time in nlargest(ROWS_KEPT, {*ledger.rows, *ledger.readings, *held, *unread}):
        if one := held.get(time):
            outcomes = one.decided + one.unsent + Counter({Outcome.WAITING: one.waiting})
            yield time, Row(one.start, Settlement.WAITING, outcomes)
        elif reading := ledger.readings.get(time):
            yield time, Row(ledger.cell_start(time), Settlement.WAITING, reading)
        elif piece := unread.get(time):
            yield time, Row(piece.start, Settlement.WAITING, Counter())
        else:
            yield time, ledger.rows[time]


def _newest_pieces(ledger: Ledger, holes: Sequence[Span]) -> Iterator[Piece]:
    """Those of the newest grid times that are not settled; a hole of two days has too many to make them all."""
    if not holes:
        return
    since = holes[-1][1] - min(ROWS_KEPT * ledger.eras.current.interval, _UNREAD)
    begin = ledger.eras.grid_before(since)
    for start, end in holes:
        yield from ledger.eras.pieces(max(start, begin), end)


def _seconds(moment: int | None) -> float | None:
    return None if moment is None else moment / 1000
