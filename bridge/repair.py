"""Takes what waits, gives a Report for each part of it that was worked on: gaps and leftovers, oldest first.

They expire first. One grid time is worked on at a time, by the very questions that an undisturbed cycle asks, so that
memory stays flat and the points are the same.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Iterator
from operator import attrgetter

from bridge.account import Gap
from bridge.backlog import OpenCycle
from bridge.cycle import Cycle
from bridge.logs import of_cycle
from bridge.points import Obstacle, Outcome, Report, Settlement

log = logging.getLogger(__name__)

_FAILURES = 2  # in a row: the others would fare no better
_LONGEST_REST = 900.0  # seconds
_RESTING = 3_000


class Repair:
    """Works off the backlog of a cycle, one part at a time; never raises for what Prometheus or the service do.

    A part that fails rests, longer each time, so that those that always fail hold up no other.
    """

    def __init__(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self._resting: dict[float, tuple[int, float]] = {}  # by T: failures, and until when (``monotonic``)
        self._seconds = 0.0  # that the slowest part took, of late

    def reports(
        self, newest: float, until: float, *, within: tuple[float, float] = (-math.inf, math.inf)
    ) -> Iterator[Report]:
        """Work on all that waits, while there is time until ``until`` (a reading of ``monotonic``).

        ``newest`` is the newest grid time of which every scrape has landed; ``within`` (start, end] narrows it. Ends
        early where nothing may be posted, where nothing gets through, and when the bridge is told to stop.
        """
        backlog, patience = self._cycle.backlog, self._cycle.patience
        if not backlog.repairable:
            return
        failed, (after, last) = 0, within
        self._seconds = min(self._seconds, (until - patience.monotonic()) / 2)  # one that hung is no measure for ever

        def wanted(time: float) -> bool:
            return after < time <= last and self._resting.get(time, (0, -math.inf))[1] <= patience.monotonic()

        gaps = (gap for gap in backlog.gaps(newest) if wanted(gap.time))
        parts: Iterator[Gap | OpenCycle] = heapq.merge(backlog.leftovers(wanted), gaps, key=attrgetter("time"))
        for part in parts:
            begun = patience.monotonic()
            ended = patience.stop.is_set() or begun + self._seconds >= until
            if ended or self._cycle.paused() or not backlog.repairable:
                return
            report = self._work(part, until)
            seconds = patience.monotonic() - begun
            self._seconds = max(seconds, self._seconds * 0.9)
            failed = failed + 1 if self._learn(report) else 0
            yield report
            if failed == _FAILURES:
                return
            # Triton may have the same cores: half of one is enough.
            patience.sleep(max(0.0, min(seconds, until - patience.monotonic())))

    def _work(self, part: Gap | OpenCycle, until: float) -> Report:
        with of_cycle(part.time):
            try:
                if isinstance(part, Gap):
                    return self._cycle.repair(part, until)
                return self._cycle.post_again(part, until)
            except Exception as error:
                log.exception("a repair failed by a fault of the bridge itself; please report it")
                return faulty(part.time, error)

    def _learn(self, report: Report) -> bool:
        """Whether nothing of it got through."""
        failures, _ = self._resting.pop(report.time, (0, 0.0))
        if report.settlement is not Settlement.WAITING:
            return False
        failures += 1
        rest = min(self._cycle.interval * 2 ** min(failures, 10), _LONGEST_REST)
        self._resting[report.time] = failures, self._cycle.patience.monotonic() + rest
        while len(self._resting) > _RESTING:
            del self._resting[next(iter(self._resting))]
        return not report.outcomes.get(Outcome.ACCEPTED)


def faulty(time: float, error: Exception) -> Report:
    """What is told of work at ``time`` that failed by a fault of the bridge itself; the stack stands in the log."""
    problem = f"a fault of the bridge itself ({type(error).__name__}): see the log, and please report it"
    return Report(time, Settlement.WAITING, {}, problems=(problem,), obstacle=Obstacle.FAULT)
