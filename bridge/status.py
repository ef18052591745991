"""Takes the reports of cycles, gives one snapshot of how the bridge is doing, for page, command and probes alike."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.points import Outcome, Rejection, Report, Settlement

_REPORTS_KEPT = 60
_REJECTIONS_KEPT = 200


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment. Times are epoch seconds, None where nothing happened yet.

    ``points`` and ``cycles`` count since the start of the process and add up: read is the sum over ``points``, due
    the sum over ``cycles``. ``reports`` and ``rejections`` are the newest, newest first. ``selection`` is the digest of
    what is sent, ``selection_problems`` say why a changed metrics.json is not.
    """

    started: float
    state: str
    advice: str
    last_turn: float
    last_delivered: float | None
    prometheus_answers: bool | None
    points: Mapping[Outcome, int]
    cycles: Mapping[Settlement, int]
    missed: int
    reports: tuple[Report, ...]
    rejections: tuple[Rejection, ...]
    selection: str = ""
    selection_problems: tuple[str, ...] = ()

    @property
    def read(self) -> int:
        """All points read, whatever became of them."""
        return sum(self.points.values())


class Board:
    """Collects reports from the cycle's thread; hands snapshots to any other."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._started = self._last_turn = clock()
        self._last_delivered: float | None = None
        self._points: Counter[Outcome] = Counter(dict.fromkeys(Outcome, 0))
        self._cycles: Counter[Settlement] = Counter(dict.fromkeys(Settlement, 0))
        self._missed = 0
        self._reports: deque[Report] = deque(maxlen=_REPORTS_KEPT)
        self._rejections: deque[Rejection] = deque(maxlen=_REJECTIONS_KEPT)
        self._selection = ""
        self._selection_problems: tuple[str, ...] = ()

    def turned(self) -> None:
        """The loop made progress, whatever came of it."""
        with self._lock:
            self._last_turn = self._clock()

    def selected(self, digest: str) -> None:
        """A selection is in force from now on."""
        with self._lock:
            self._selection, self._selection_problems = digest, ()

    def not_selected(self, problems: Iterable[str]) -> None:
        """metrics.json changed, and cannot be used."""
        with self._lock:
            self._selection_problems = tuple(problems)

    def missed(self, cycles: int) -> None:
        """Grid times passed without a cycle."""
        with self._lock:
            self._missed += cycles

    def record(self, report: Report) -> None:
        """A cycle ended."""
        with self._lock:
            self._last_turn = self._clock()
            self._points.update(report.outcomes)
            self._cycles[report.settlement] += 1
            self._reports.appendleft(replace(report, rejections=()))  # those are kept apart, and bounded
            self._rejections.extendleft(report.rejections)
            if report.outcomes.get(Outcome.ACCEPTED):
                self._last_delivered = max(report.time, self._last_delivered or 0.0)

    def snapshot(self) -> Snapshot:
        """The state now."""
        with self._lock:
            newest = self._reports[0] if self._reports else None
            state, advice = _state(newest)
            return Snapshot(
                started=self._started,
                state=state,
                advice=advice,
                last_turn=self._last_turn,
                last_delivered=self._last_delivered,
                prometheus_answers=_prometheus_answers(newest),
                points=dict(self._points),
                cycles=dict(self._cycles),
                missed=self._missed,
                reports=tuple(self._reports),
                rejections=tuple(self._rejections),
                selection=self._selection,
                selection_problems=self._selection_problems,
            )


def _state(newest: Report | None) -> tuple[str, str]:
    """The state in words, and what a person should know of it."""
    if newest is None:
        return "starting", "the first cycle is not done yet"
    advice = "; ".join(newest.problems)
    if newest.settlement is Settlement.NO_DATA:
        return "no data", advice or "Prometheus scraped nothing in the last interval"
    if newest.condition is not None:
        return newest.condition.value, advice
    if newest.settlement is Settlement.WAITING:
        return "Prometheus does not answer", advice
    return "nothing to send", advice or "none of the selected metrics has a series now"


def _prometheus_answers(newest: Report | None) -> bool | None:
    # A cycle that could not be read has no outcomes at all; one that was read has all of them, zeros included.
    return None if newest is None else newest.settlement is Settlement.NO_DATA or bool(newest.outcomes)
