"""Takes a ledger and two moments, gives how much of the time between them is settled, in whole cells; pure, milliseconds."""

from __future__ import annotations

from typing import NamedTuple

from bridge.backlog.ledger import Ledger
from bridge.backlog.spans import Spans


class Stretch(NamedTuple):
    """(start, end] in epoch s, at edges of cells, and the cells in it.

    ``settled`` ones are not asked for again: delivered, without data, expired, or unknown. ``waiting`` ones will be asked
    for, or left batches over that will be posted. The others were never begun: what was no task of the bridge.
    """

    start: float
    end: float
    cycles: int
    settled: int
    waiting: int


def stretch(ledger: Ledger, start: int, end: int) -> Stretch:
    """What stands of (start, end]; both go down to an edge of a cell."""
    eras = ledger.eras
    start, end = eras.grid_before(start), eras.grid_before(end)
    holes = ledger.spans.holes(end) if eras else ()
    waiting = Spans(start, (eras.around(*hole) for hole in holes))
    unsettled = Spans(start, (eras.around(*span) for span in ledger.unbegun.within(start, end)))
    for span in waiting.within(start, end):
        unsettled.add(*span)
    left = sum(one.kept and start < one.time <= end for one in ledger.held.values())
    return Stretch(
        start / 1000,
        end / 1000,
        cycles=eras.count(start, end),
        settled=max(0, sum(eras.count(*span) for span in unsettled.holes(end)) - left),
        waiting=sum(eras.count(*span) for span in waiting.within(start, end)) + left,
    )
