"""Takes a ledger and two moments, gives how much of the time between them is settled, in whole cells; pure, milliseconds."""

from __future__ import annotations

from typing import NamedTuple

from bridge.backlog.ledger import Ledger
from bridge.backlog.spans import Spans


class Stretch(NamedTuple):
    """(start, end] in epoch s, at edges of cells, and the cells in it.

    ``settled`` ones are not asked for again: delivered, without data, expired, unknown, or leaving batches over that
    are posted again. ``waiting`` ones will be asked for. The others were never begun: what was no task of the bridge.
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
    return Stretch(
        start / 1000,
        end / 1000,
        cycles=eras.count(start, end),
        settled=sum(eras.count(*span) for span in unsettled.holes(end)),
        waiting=sum(eras.count(*span) for span in waiting.within(start, end)),
    )
