"""Takes the reports of cycles and the account, gives one snapshot of how the bridge is doing, for page, command and probes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.account import Account
from bridge.points import Outcome, Report, Settlement

_REPORTS_KEPT = 60


@dataclass(frozen=True)
class Memory:
    """What the bridge knows over restarts. ``trouble`` says why it is not on disk, ``problems`` what of it was damaged."""

    account: Account
    trouble: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment. Times are epoch seconds, None where nothing happened yet.

    ``memory`` goes on over restarts. ``reports`` are those of the newest cycles of this process, newest first.
    ``selection`` is the digest of what is sent, ``selection_problems`` say why a changed metrics.json is not.
    """

    started: float
    state: str
    advice: str
    last_turn: float
    prometheus_answers: bool | None
    memory: Memory
    reports: tuple[Report, ...]
    selection: str = ""
    selection_problems: tuple[str, ...] = ()

    @property
    def points(self) -> Mapping[Outcome, int]:
        """What became of all points that were read; those of waiting cycles as last read."""
        account = self.memory.account
        return {one: account.points.get(one, 0) + account.waiting.get(one, 0) for one in Outcome}


class Board:
    """Collects reports from the cycle's thread; hands snapshots to any other. ``memory`` gives it as it stands.

    ``clock`` gives the times that are shown; how long the loop has been silent must not depend on it.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        memory: Callable[[], Memory],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._memory = memory
        self._lock = threading.Lock()
        self._started = self._last_turn = clock()
        self._moved = monotonic()
        self._reports: deque[Report] = deque(maxlen=_REPORTS_KEPT)
        self._selection = ""
        self._selection_problems: tuple[str, ...] = ()

    def silent(self) -> float:
        """Seconds since the loop made progress."""
        with self._lock:
            return self._monotonic() - self._moved

    def turned(self) -> None:
        """The loop made progress, whatever came of it."""
        with self._lock:
            self._last_turn, self._moved = self._clock(), self._monotonic()

    def selected(self, digest: str) -> None:
        """A selection is in force from now on."""
        with self._lock:
            self._selection, self._selection_problems = digest, ()

    def not_selected(self, problems: Iterable[str]) -> None:
        """metrics.json changed, and cannot be used."""
        with self._lock:
            self._selection_problems = tuple(problems)

    def record(self, report: Report) -> None:
        """A cycle ended."""
        self.turned()
        with self._lock:
            self._reports.appendleft(replace(report, rejections=()))  # the account keeps those, bounded

    def snapshot(self) -> Snapshot:
        """The state now."""
        memory = self._memory()
        with self._lock:
            newest = self._reports[0] if self._reports else None
            state, advice = _state(newest)
            return Snapshot(
                started=self._started,
                state=state,
                advice="; ".join(filter(None, (advice, memory.trouble))),
                last_turn=self._last_turn,
                prometheus_answers=_prometheus_answers(newest),
                memory=memory,
                reports=tuple(self._reports),
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
