"""A service that gives every kind of verdict, and a bridge that runs on a disk: what was sent is known point by point.

A point is (series, start, time): what one series gained in (start, time].
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from bridge.backlog import Account, Backlog, Gap, OpenCycle
from bridge.points import Batch, Outcome, Receipt, Rejection, Settlement
from tests.unit.backlog.disk import Disk

FOLDER = Path("/state")
INTERVAL = 60.0
SERIES = 5
Point = tuple[int, float, float]


class Service:
    """What Application Insights took, and said. ``mood`` draws the fate of a post; "well" accepts all."""

    def __init__(self, seed: int) -> None:
        self.decided: Counter[Point] = Counter()
        self.lost: set[Point] = set()  # accepted, and the reply did not come
        self.well = False
        self._random = random.Random(seed)

    def post(self, batch: Batch) -> Receipt:
        points = [(item["series"], item["start"], item["time"]) for item in map(json.loads, batch.items())]
        fate = "accept" if self.well else self._random.choice(["accept", "accept", "keep", "part", "part", "lost"])
        if fate == "keep":
            return Receipt(waiting=(batch,), posts=1)
        if fate == "lost":
            self.decided.update(points)
            self.lost.update(points)
            return Receipt(waiting=(batch,), posts=1, possibly_repeated=len(points))
        said = [self._random.choice(["accepted", "rejected", "expired", "waiting"]) for _ in points]
        said = ["accepted"] * len(points) if fate == "accept" else said
        self.decided.update(point for point, word in zip(points, said, strict=True) if word != "waiting")
        rest = [item for item, word in zip(batch.items(), said, strict=True) if word == "waiting"]
        parts = [rest[:1], rest[1:]] if self._random.random() < 0.3 else [rest]
        return Receipt(
            accepted=said.count("accepted"),
            rejected=said.count("rejected"),
            expired=said.count("expired"),
            waiting=tuple(Batch.pack(part) for part in parts if part),
            rejections=(Rejection("m", {"a": "b"}, "then", 400, "why"),) * said.count("rejected"),
            posts=1,
        )


class World:
    """One bridge after another on one disk. ``now`` is the newest grid time.

    Every step is followed by a look at the account: it adds up, and its totals do not fall.
    """

    def __init__(self, seed: int) -> None:
        self.disk = Disk(seed)
        self.service = Service(seed)
        self.now = 600.0
        self.origin = 600.0
        self.asked: float | None = None  # since when, by an order that was left
        self.in_flight: list[set[Point]] = []  # being posted when a process was killed
        self.read: dict[float, int] = {}  # points by the last reading
        self.no_data: set[tuple[float, float]] = set()
        self.accounts: list[Account] = []
        self.off_grid: set[float] = set()
        self.said: Counter[Outcome] = Counter()
        self.exact = True  # until a process ends before it could write what it did
        self._random = random.Random(seed + 1)
        self._flying: set[Point] = set()
        self.backlog: Backlog

    def start(self) -> None:
        """A process starts."""
        self.backlog = Backlog(FOLDER, clock=lambda: self.now, files=self.disk)
        self.backlog.lock()
        self.backlog.in_force(self.now, INTERVAL, "digest", "text")

    def order(self) -> None:
        """Another process asks for three cycles before the first start, and must not be forgotten."""
        start = self.origin - 3 * INTERVAL
        if start < 0:
            return
        Backlog(FOLDER, clock=lambda: self.now, files=self.disk).order(start, self.origin, repeat=False)
        self.asked = start

    def live(self, cycles: int) -> None:
        """So many grid times pass: the newest first, then leftovers and gaps."""
        for _ in range(cycles):
            self.backlog.orders()
            self.origin = self.backlog.account.origin or self.origin
            self.now += INTERVAL
            self.work(self.backlog.gap(self.now))
            for left in self.backlog.leftovers():
                self.post(left)
                break
            for gap in self.backlog.gaps(self.now):
                self.work(gap)
                break

    def close(self) -> None:
        """The run ends off the grid, its account closed, and the process with it."""
        gap = self.backlog.gap(self.now + 22.5)
        assert gap
        self.work(gap, answers=True)
        self.backlog.close()

    def mend(self) -> None:
        """All is well from now on, and everything that waits is worked off."""
        self.service.well = True
        self.disk.kill_at, self.disk.fails = 0, lambda _: None
        next(self.backlog.gaps(self.now), None)  # what time it is
        while self.backlog.account.cycles[Settlement.WAITING]:
            before = self.backlog.account
            for left in self.backlog.leftovers():
                self.post(left)
            for gap in self.backlog.gaps(self.now):
                self.work(gap, answers=True)
            assert self.backlog.account != before, "nothing that waits is offered"

    def work(self, gap: Gap | None, *, answers: bool = False) -> None:
        """One cycle, read and posted; Prometheus may not answer, or have nothing, or the service forbid it."""
        assert gap
        assert (gap.interval, gap.digest) == (INTERVAL, "digest")
        fate = "read" if answers else self._random.choice(["read"] * 6 + ["unreadable", "forbidden", "no data"])
        items = [json.dumps({"series": n, "start": gap.start, "time": gap.time}).encode() for n in range(SERIES)]
        if fate == "no data":
            self.read.pop(gap.time, None)
            self.no_data.add((gap.start, gap.time))
            self.backlog.settle(gap.start, gap.time, Settlement.NO_DATA, {})
        elif fate != "unreadable":
            self.read[gap.time] = SERIES + 3
            batches = [Batch.pack(items[:2]), Batch.pack(items[2:4]), Batch.pack(items[4:])]
            cycle = self.backlog.begin(gap.start, gap.time, batches, not_finite=1, left_out=2)
            if fate == "forbidden":
                cycle.end()
            else:
                self.post(cycle)
        self.check()

    def post(self, cycle: OpenCycle) -> None:
        """Post all batches of a cycle, twice where they wait."""
        self.check()
        for _ in range(2):
            for number in cycle.waiting:
                batch = cycle.batch(number)
                points = {(one["series"], one["start"], one["time"]) for one in map(json.loads, batch.items())}
                self._flying = points
                cycle.intent(number)
                self.disk.step("post")
                receipt = self.service.post(batch)
                self.said[Outcome.ACCEPTED] += receipt.accepted
                self.said[Outcome.REJECTED] += receipt.rejected
                self.said[Outcome.EXPIRED] += receipt.expired
                self.disk.step("reply")
                cycle.verdict(number, receipt)
                self._flying = set()
                self.check()
        settlement = cycle.end()
        assert settlement is (Settlement.WAITING if cycle.waiting else Settlement.SETTLED)
        if cycle.time % INTERVAL:
            self.off_grid.add(cycle.time)
            if self.backlog.gap(cycle.time):  # a gap again, for the cycle that follows
                self.off_grid.discard(cycle.time)
                del self.read[cycle.time]
        self.check()

    def check(self) -> None:
        """The account adds up, and no total is smaller than it was."""
        account = self.backlog.account
        for before in self.accounts[-1:]:
            for outcome in account.points:
                assert before.points[outcome] <= account.points[outcome]
            for settlement in set(Settlement) - {Settlement.WAITING}:
                assert before.cycles[settlement] <= account.cycles[settlement]
            assert before.possibly_repeated <= account.possibly_repeated
            assert (before.last_delivered or 0) <= (account.last_delivered or 0)
        self.accounts.append(account)
        for outcome in (Outcome.ACCEPTED, Outcome.REJECTED, Outcome.EXPIRED) if self.exact else ():
            assert account.points[outcome] == self.said[outcome]
        if self.exact:
            assert account.read == sum(self.read.values())
            assert account.due == (self.now - self.origin) / INTERVAL + len(self.off_grid)
            waiting = sum(detail.settlement is Settlement.WAITING for detail in account.details)
            assert waiting <= account.cycles[Settlement.WAITING] + 1, "one may be under way off the grid"
            for detail in account.details:
                assert sum(detail.outcomes.values()) == self.read.get(detail.time, 0)

    def killed(self, *, power: bool = False) -> None:
        """The process was killed: what was being posted then may have arrived."""
        self.in_flight.append(self._flying)
        self._flying = set()
        self.exact = False
        if power:  # takes what was done without a post, and is done again
            self.disk.lose_power()
            self.accounts.clear()

    def covered(self, series: int) -> list[tuple[float, float]]:
        """The intervals of which the service has decided, or of which there was nothing, oldest first.

        An end of a run of which the reply was lost is a part of the next cycle again.
        """
        decided = {(start, time) for one, start, time in self.service.decided if one == series}
        lost = {(start, time) for one, start, time in self.service.lost if one == series and time % INTERVAL}
        wider = {(start, time) for start, time in lost if any(s <= start < time < t for s, t in decided)}
        return sorted((decided | self.no_data) - wider)

    def missing(self, unknown: Iterable[tuple[float, float]] = ()) -> list[tuple[int, float]]:
        """Where something is neither decided nor known to be unknown: series, and up to what time all is well."""
        found = []
        for series in range(SERIES):
            reached = self.origin
            for start, end in sorted([*self.covered(series), *unknown]):
                if start <= reached:
                    reached = max(reached, end)
            if reached < self.now:
                found.append((series, reached))
        return found

    def repeated(self) -> set[Point]:
        """Points that the service has more than once."""
        return {point for point, times in self.service.decided.items() if times > 1}
