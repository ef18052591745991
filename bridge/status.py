"""Takes the reports of cycles and the account, gives one snapshot of how the bridge is doing, for page, command and probes."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bridge.account import Account
from bridge.points import Condition, Obstacle, Outcome, Report, Settlement
from bridge.states import State
from bridge.trends import Trends

__all__ = ["About", "Board", "Hour", "Memory", "Snapshot", "State"]

log = logging.getLogger(__name__)

_REPORTS_KEPT = 60
_MONTH = 30 * 86_400.0  # s, as ``bridge.billing`` has it
_OBSTACLES = {
    Obstacle.PROMETHEUS: State.PROMETHEUS_UNREACHABLE,
    Obstacle.SELECTION: State.SELECTION_UNREADABLE,
    Obstacle.FAULT: State.FAULT,
}


@dataclass(frozen=True)
class About:
    """What does not change while the process runs; ``interval`` in s, ``versions`` of what it stands on, by name."""

    version: str = ""
    role: str = ""
    instance: str = ""
    interval: float = 60.0
    metrics_file: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> str:
        """The line of KQL that shows in Azure what arrived."""
        role = json.dumps(self.role)  # KQL's strings know the same escapes
        return f"customMetrics | where cloud_RoleName == {role} | summarize max(timestamp) by name"


@dataclass(frozen=True)
class Memory:
    """What the bridge knows over restarts. ``trouble`` says why it is not on disk, ``problems`` what of it was damaged."""

    account: Account
    trouble: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hour:
    """The account of the cycles of the last hour, from ``since`` (epoch s) on: of short intervals the newest hundred."""

    since: float
    cycles: Mapping[Settlement, int]
    points: Mapping[Outcome, int]

    @property
    def read(self) -> int:
        """All points, by the last reading of each cycle."""
        return sum(self.points.values())


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment, ``now``. Times are epoch seconds, None where nothing happened yet.

    ``since`` is from when on the state has been so; ``detail`` says why, in the words of the newest cycle or, while it is
    caught up, of the newest repair. ``silent`` are the seconds since the loop made progress. ``memory`` goes on over restarts. ``reports`` are those of the newest cycles
    of this process, newest first. ``trends`` are the values of each metric in the last 60 minutes, oldest first, NaN
    where there was none. ``selection`` is the digest of what is sent, in force ``selected`` on; ``selection_problems``
    say why a changed metrics.json is not.
    """

    about: About
    now: float
    started: float
    state: State
    since: float
    detail: str
    last_turn: float
    silent: float
    prometheus_answers: bool | None
    memory: Memory
    reports: tuple[Report, ...]
    trends: Mapping[str, tuple[float, ...]]
    selection: str = ""
    selected: float | None = None
    selection_problems: tuple[str, ...] = ()

    @property
    def points(self) -> Mapping[Outcome, int]:
        """What became of all points that were read; those of waiting cycles as last read."""
        account = self.memory.account
        return {one: account.points.get(one, 0) + account.waiting.get(one, 0) for one in Outcome}

    @property
    def hour(self) -> Hour:
        """What became of the cycles of the last hour."""
        recent = [detail for detail in self.memory.account.details if detail.time > self.now - 3600]
        return Hour(
            since=min((detail.start for detail in recent), default=self.now - 3600),
            cycles={one: sum(detail.settlement is one for detail in recent) for one in Settlement},
            points={one: sum(detail.outcomes.get(one, 0) for detail in recent) for one in Outcome},
        )

    @property
    def absent(self) -> tuple[str, ...]:
        """The selected metrics without a series in the newest cycle."""
        return self.reports[0].absent if self.reports else ()

    @property
    def monthly_bytes(self) -> float | None:
        """What 30 days of cycles like the newest that was read are billed as, about; None before the first."""
        sizes = (report.billed_bytes for report in self.reports if report.billed_bytes)
        return next((size * _MONTH / self.about.interval for size in sizes), None)

    @property
    def next_cycle(self) -> float:
        """The grid time that is worked on next; it is past where its scrapes are still waited for."""
        passed = self.now // self.about.interval * self.about.interval
        is_due = bool(self.reports) and self.reports[0].time < passed
        return passed if is_due else passed + self.about.interval

    @property
    def live(self) -> bool:
        """Whether the loop makes progress; two intervals of grace, since a turn may take a whole one."""
        return self.silent <= 3 * self.about.interval + 30

    @property
    def troubles(self) -> tuple[str, ...]:
        """What a person should look at, whatever the state is; empty where nothing is wrong."""
        stuck = () if self.live else (f"the loop made its last progress {self.silent:.0f} s ago",)
        unused = (
            f"the changed metrics.json cannot be used, and the one before is: {one}" for one in self.selection_problems
        )
        return (*stuck, *unused, *filter(None, (self.memory.trouble,)), *self.memory.problems)

    @property
    def healthy(self) -> bool:
        """Whether points arrive, and nothing is wrong beside."""
        return self.state.good and not self.troubles


class Board:
    """Collects reports from the cycle's thread; hands snapshots to any other. ``memory`` gives it as it stands.

    ``clock`` gives the times that are shown; how long the loop has been silent must not depend on it.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        memory: Callable[[], Memory],
        monotonic: Callable[[], float] = time.monotonic,
        *,
        about: About | None = None,
    ) -> None:
        self._about = about or About()
        self._clock = clock
        self._monotonic = monotonic
        self._memory = memory
        self._lock = threading.Lock()
        self._started = self._last_turn = self._since = clock()
        self._moved = monotonic()
        self._state = State.STARTING
        self._reports: deque[Report] = deque(maxlen=_REPORTS_KEPT)
        self._trends = Trends()
        self._held_up = ""
        self._selection = ""
        self._selected: float | None = None
        self._selection_problems: tuple[str, ...] = ()

    def turned(self) -> None:
        """The loop made progress, whatever came of it."""
        with self._lock:
            self._last_turn, self._moved = self._clock(), self._monotonic()

    def repaired(self, problem: str) -> None:
        """The loop worked on the backlog; ``problem`` says why something of it waits on, empty where all got through."""
        with self._lock:
            self._held_up = problem

    def selected(self, digest: str) -> None:
        """A selection is in force from now on."""
        with self._lock:
            self._selection, self._selected, self._selection_problems = digest, self._clock(), ()

    def not_selected(self, problems: Iterable[str]) -> None:
        """metrics.json changed, and cannot be used."""
        with self._lock:
            self._selection_problems = tuple(problems)

    def record(self, report: Report) -> None:
        """A cycle ended."""
        self.turned()
        memory = self._memory()
        with self._lock:
            if report.metrics:  # those of the cycles before stand in the trends; sixty times over they are megabytes
                self._reports = deque((replace(one, metrics={}) for one in self._reports), _REPORTS_KEPT)
            self._reports.appendleft(replace(report, rejections=()))  # the account keeps those, bounded
            self._trends.add(report)
            if memory.account.oldest_waiting is None:
                self._held_up = ""
            self._look(memory.account)

    def snapshot(self) -> Snapshot:
        """The state now."""
        memory = self._memory()
        with self._lock:
            self._look(memory.account)
            newest = self._reports[0] if self._reports else None
            return Snapshot(
                about=self._about,
                now=self._clock(),
                started=self._started,
                state=self._state,
                since=self._since,
                detail=self._detail(),
                last_turn=self._last_turn,
                silent=self._monotonic() - self._moved,
                prometheus_answers=None if newest is None else newest.obstacle is not Obstacle.PROMETHEUS,
                memory=memory,
                reports=tuple(self._reports),
                trends=self._trends.values(),
                selection=self._selection,
                selected=self._selected,
                selection_problems=self._selection_problems,
            )

    def _look(self, account: Account) -> None:
        """Take the state that is; log what it became. What waits may have been posted since the newest cycle ended."""
        newest = self._reports[0] if self._reports else None
        before, self._state = self._state, _state(newest, account)
        if self._state is before:
            return
        self._since = self._last_turn
        change = f"state: {before.words} → {self._state.words}"
        if self._state.good:
            log.info(change)
        else:
            # Written out: each change is a problem of its own, and none is held back as the repetition of another.
            told = ": ".join(filter(None, (change, self._detail())))
            log.warning(" — ".join(filter(None, (told, self._state.remedy))))

    def _detail(self) -> str:
        """What the newest cycle met; where that is well, what holds up those that wait."""
        newest = self._reports[0] if self._reports else None
        if newest is not None and newest.problems:
            return "; ".join(newest.problems)
        return self._held_up if self._state is State.CATCHING_UP else ""


def _state(newest: Report | None, account: Account) -> State:
    if newest is None:
        return State.STARTING
    if newest.obstacle is not None:
        return _OBSTACLES[newest.obstacle]
    if newest.settlement is Settlement.NO_DATA:
        return State.NO_DATA
    if newest.condition not in {None, Condition.DELIVERING}:
        assert newest.condition
        return State(newest.condition.value)
    return _state_of_posted(newest, account)


def _state_of_posted(newest: Report, account: Account) -> State:
    """Where nothing stands in the way."""
    if newest.condition is None and newest.settlement is Settlement.SETTLED:
        return State.NOTHING_TO_SEND
    if newest.outcomes.get(Outcome.REJECTED) and not newest.outcomes.get(Outcome.ACCEPTED):
        return State.REJECTED
    # A later one is under way, and no reason to think that anything is behind.
    behind = account.oldest_waiting is not None and account.oldest_waiting <= newest.time
    return State.CATCHING_UP if behind else State.DELIVERING
