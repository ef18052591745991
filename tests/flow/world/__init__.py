"""Takes what happens to a bridge, gives what arrived of it: a machine, a Prometheus and a service, all in one process.

Real are the bridge from its turns down to ``Delivery``, the journal's bytes, and the service's rules (the sandbox's). In
their own clothes are the disk, the connections, and time, which passes when somebody sleeps.

__init__  the world: time, what happens, one process after another
process   one bridge
metrics   Triton and Prometheus
service   Application Insights
eras      which interval and selection were in force
rules     what must hold all the time, and in the end
"""

from __future__ import annotations

import errno
import json
import math
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.account import Account
from bridge.backlog import Backlog
from bridge.cycle import Patience
from bridge.points import Settlement
from bridge.sandbox.script import parse
from bridge.selection import Selection
from bridge.turns import Turns
from bridge.witness import Witness
from tests.flow.world.metrics import COUNTERS, SCRAPE, Metrics
from tests.flow.world.process import LIMIT, turns
from tests.flow.world.rules import History, Rules, follow
from tests.flow.world.service import Service
from tests.unit.backlog.disk import Disk, Killed

BEGIN = 1_795_000_020.0  # a full minute
PATIENCE = 2400.0  # s, longer than all rests and pauses: what is younger when all is well must not expire
FOLDER = Path("/state")

# What metrics.json may be: gauges by name, counters as increments.
SELECTIONS = (("m", "c"), ("c", "d"), ("m",))


class World:
    """One bridge after another on one disk. Each method is something that happens; ``end_well`` and ``verify`` come last.

    ``true`` is the time (epoch s) that the service knows, the machine's clock may differ from it.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        random.seed(seed)  # of the jitter
        self.true, self.mono, self.offset = BEGIN - 600, 0.0, 0.0
        self.disk = Disk(seed)
        self.metrics = Metrics(self.machine, lambda: self.mono, self.pass_)
        self.service = Service(lambda: self.true, self.pass_, self.disk)
        self.history = History()
        self._folder = folder
        self._file = folder / "metrics.json"
        self._names = SELECTIONS[0]
        self._interval = 60.0
        self._disk = "well"
        self._high = self.machine()
        self._away = 0
        self._power = False
        self._alive = False
        self._stop_asleep = False
        self._before: Account | None = None
        self._durable_at = self._high
        self._blank: float | None = None  # since when a process before this one could not write
        self.backlog: Backlog
        self.turns: Turns
        self.select(0)
        self.pass_(600)
        self._start()

    # -- time --------------------------------------------------------------------------------------------------------

    def machine(self) -> float:
        """The machine's clock."""
        return self.true + self.offset

    def pass_(self, duration: float) -> None:
        """Let time pass. Prometheus takes no sample that is older than its newest one."""
        self.true += duration
        self.mono += duration
        now = self.machine()
        first = max(self._high, now - duration) // SCRAPE + 1
        for n in range(int(first), int(now // SCRAPE) + 1):
            self.metrics.scrape(n * SCRAPE)
        self._high = max(self._high, now)

    def _sleep(self, duration: float) -> None:
        if self._stop_asleep:
            self._stop.set()
        self.pass_(max(0.0, duration))

    # -- what happens ------------------------------------------------------------------------------------------------

    def live(self, cycles: int) -> None:
        """So many alarms ring."""
        for _ in range(cycles):
            now, interval = self.machine(), self._interval
            self.pass_((now // interval + 1) * interval - now)
            if self._alive:
                self._turn()
            elif self._away:
                self._away -= 1
            else:
                self._start()

    def azure(self, mood: str | dict[str, Any]) -> None:
        """From now on the service does this."""
        self.service.mood = mood if isinstance(mood, str) else parse([mood])[0]

    def replies(self, script: list[dict[str, Any]]) -> None:
        """It does this with the next posts."""
        self.service.next = parse(script)

    def slow(self, latency: float) -> None:
        """Each of the next posts takes so many seconds."""
        self.service.slow = [latency] * 5

    def prometheus(self, state: str) -> None:
        """Well, away (it scrapes, and does not answer), or stopped."""
        self.metrics.state = state

    def questions(self, after: int, fail: int) -> None:
        """After so many questions, so many are not answered."""
        first = self.metrics.asked + after
        self.metrics.fails = range(first, first + fail)

    def triton(self) -> None:
        """Triton is started again."""
        self.metrics.restart_triton(self.machine())

    def select(self, number: int) -> None:
        """metrics.json is changed."""
        self._names = SELECTIONS[number]
        listed = [{"metric": name, "mode": "increase"} if name in COUNTERS else name for name in self._names]
        self._file.write_text(json.dumps({"customMetrics": listed}))

    def disk_is(self, state: str) -> None:
        """Well, full, or read-only."""
        fails: dict[str, Callable[[str], int | None]] = {
            "well": lambda _: None,
            "full": lambda kind: errno.ENOSPC if kind == "write" else None,
            "read-only": lambda kind: None if kind in {"read", "post", "reply"} else errno.EROFS,
        }
        self.disk.fails = fails[state]
        if not (state == "full" and self._disk == "read-only"):  # what was done meanwhile is noted by neither
            self._disk = state

    def clock(self, offset: float) -> None:
        """The machine's clock is so far ahead of the time."""
        self.offset = offset

    def suspend(self, minutes: float) -> None:
        """The machine sleeps; its monotonic clock with it."""
        self.true += 60 * minutes
        self._high = max(self._high, self.machine())

    def kill(self, step: int, away: int, power: bool, interval: float) -> None:
        """The process ends at the n-th step from now, half done; after a while another one starts, with that interval."""
        self.disk.kill_at = self.disk.steps + step
        self._next = away, power, interval

    def stop(self, after: float, away: int, seen: bool, interval: float) -> None:
        """The process is told to stop, and closes the account; ``seen``: it still reads Triton's port."""
        self.pass_(after)
        if not self._alive:
            return
        now = self.machine()
        self._surviving(lambda: self._close((now, self.metrics.exposition(now)) if seen else None))
        if self._alive:
            self._alive, self._away, self._interval = False, away, interval

    def stop_asleep(self, away: int, interval: float) -> None:
        """The process is told to stop while it waits within a turn."""
        self._stop_asleep = True
        self.live(1)
        self.stop(0.0, away, seen=True, interval=interval)
        self._stop_asleep = False

    # -- one process -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._alive = True
        self._surviving(self._build)
        if self._alive:
            self._turn()

    def _build(self) -> None:
        if self._blank is not None:
            self._before = None
        self._stop = threading.Event()
        self.backlog = Backlog(FOLDER, clock=self.machine, files=self.disk)
        self.backlog.lock()
        self.history.unknown += self.backlog.account.unknown
        self._witness = Witness(self._folder)
        patience = Patience(self._stop, clock=self.machine, monotonic=lambda: self.mono, sleep=self._sleep)
        self.turns = turns(
            self._interval, self._file, self.metrics, self.service, self._witness, self.backlog, patience, self
        )

    def _turn(self) -> None:
        self._surviving(self.turns.turn)

    def _close(self, seen: tuple[float, str] | None) -> None:
        self._stop.set()
        self.history.stops.add(round((seen[0] if seen else self.metrics.times[-1]) * 1000) / 1000)
        known = len(self._witness.sightings)
        try:
            self.turns.close(seen, 5.0)
        finally:
            for sighting in self._witness.sightings[known:]:
                self.metrics.saw(sighting)
        if not self.backlog.durable:
            self._lose()
        self.backlog.close()

    def _surviving(self, work: Callable[[], object]) -> None:
        """Do it, and see whether the process lives still."""
        try:
            work()
        except Killed:
            self.history.in_flight.append(self.service.flying)
            if hasattr(self, "backlog") and not self.backlog.durable:
                self._lose()
            self._away, power, self._interval = self._next
            if power:
                self.disk.lose_power()
                self._before = None
            self._alive, self.disk.kill_at = False, 0
        else:
            self._check()

    def _lose(self) -> None:
        """A process ends that could not write."""
        self.history.forgetful = True
        self.history.noteless |= self._disk == "read-only"
        self.forget(self._durable_at)

    def forget(self, since: float) -> None:
        """What was in force from then on is not known to the next process."""
        self._blank = min(since - self._interval, self._blank or math.inf)

    def in_force(self, selection: Selection, now: float) -> None:
        """The bridge says that this selection is in force from ``now`` on."""
        if self.metrics.told == self.mono:  # else it goes on from what Prometheus said last
            assert math.isclose(now, self.machine(), abs_tol=0.001)
        names = tuple(entry.name for entry in selection.entries)
        assert names == self._names
        since = self.history.eras.change(now, self._interval, names)
        if self._blank is not None:
            self.history.murky.append((self._blank, now + self._interval))
            self._blank = None
        if since is not None and since < self._high - self._interval:
            self.history.murky.append((since, self._high + self._interval))

    # -- the rules ---------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """The loop is whole, and the account follows from the one before."""
        for report in self.turns.board.snapshot().reports:
            assert "fault of the bridge" not in str(report.problems)
        account = self.backlog.account
        if account.origin is None:
            return
        follow(account, self._before, self.history)
        self._before = account
        if self.backlog.durable:
            self._durable_at = self.machine()

    def end_well(self) -> None:
        """All is well from now on, and turns go on until nothing waits."""
        self.disk.kill_at, self._away = 0, 0
        self.disk_is("well")
        self.azure({})
        self.service.next, self.service.slow, self.metrics.state, self.offset = [], [], "well", 0.0
        self.metrics.fails = range(0)
        if self.machine() < self._high:
            self.suspend((self._high - self.machine()) / 60)
        self._well = self.machine()
        self.live(2)
        for _ in range(60):
            if not self.backlog.account.cycles[Settlement.WAITING]:
                return
            self.live(1)
        raise AssertionError("something waits for ever")

    def verify(self) -> None:
        """Each grid time since the origin has each series of its selection, once, with the value that it must have."""
        assert self.backlog.durable
        oldest = min(self._high, self._well + PATIENCE) - LIMIT
        Rules(self.history, self.metrics, self.service, self.backlog.account, oldest).verify(self.machine())
