"""Takes what happens to a bridge, gives what arrived of it: a machine, a Prometheus and a service, all in one process.

Real are the bridge from its turns down to ``Delivery``, the journal's bytes, and the service's rules (the sandbox's). In
their own clothes are the disk, the connections, and time, which passes when somebody sleeps.
"""

from __future__ import annotations

import errno
import json
import math
import random
import threading
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry.sdk.resources import Resource

from bridge.account import Account, Detail
from bridge.backlog import Backlog
from bridge.cycle import Cycle, Patience, Terms
from bridge.delivery import Delivery, context_tags
from bridge.delivery.endpoint import Silence
from bridge.delivery.replies import Reply
from bridge.envelopes import Encoder
from bridge.errors import PrometheusRefused, PrometheusUnreachable
from bridge.instruments import Instruments
from bridge.points import Batch, Outcome, Receipt, Series, Settlement, Sighting
from bridge.prometheus import Target
from bridge.sandbox.endpoint import Endpoint, Request
from bridge.sandbox.limits import Limits
from bridge.sandbox.rules import seconds
from bridge.sandbox.script import AS_USUAL, Scripted, parse
from bridge.selection import Selection, SelectionFile
from bridge.turns import Turns
from bridge.witness import Witness
from tests.scripted.prometheus import ScriptedPrometheus
from tests.unit.backlog.disk import Disk, Killed

BEGIN = 1_795_000_020.0  # a full minute
LIMIT = 5400.0  # s, how far back something may wait
PATIENCE = 2400.0  # s, longer than all rests and pauses: what is younger when all is well must not expire
SCRAPE = 15.0
LOOKBACK = 35.0  # s, Prometheus' own
INSTANCE = "triton-0:8002"
MODELS = ("a", "b")
KEY = "11111111-2222-3333-4444-555555555555"
TAGS = context_tags(Resource({}))
FOLDER = Path("/state")

# What metrics.json may be: gauges by name, counters as increments.
SELECTIONS = (("m", "c"), ("c", "d"), ("m",))
COUNTERS = {"c": 7.0, "d": 3.0}  # and what they gain a second

Key = tuple[str, str]  # a series: metric, model
Point = tuple[Key, float]  # and a time


class Era(NamedTuple):
    """What is in force for the cells that begin at ``since`` or later."""

    since: float
    interval: float
    names: tuple[str, ...]


class Eras:
    """From when on which interval and selection were in force: the rule, written a second time."""

    def __init__(self) -> None:
        self._eras: list[Era] = []

    def __bool__(self) -> bool:
        return bool(self._eras)

    def change(self, now: float, interval: float, names: tuple[str, ...]) -> float | None:
        """From the grid time before ``now`` on, so that the next one is the first of its kind; None: nothing changed."""
        if self._eras and self._eras[-1][1:] == (interval, names):
            return None
        since = self.edge(now) if self._eras else now // interval * interval
        self._eras = [era for era in self._eras if era.since < since] + [Era(since, interval, names)]
        return since

    def at(self, start: float) -> Era:
        """The one for a cell that begins there."""
        return next((era for era in reversed(self._eras) if era.since <= start), self._eras[0])

    def edge(self, moment: float) -> float:
        """The newest edge of a cell at or before a moment."""
        era = self.at(moment)
        edge = moment // era.interval * era.interval
        return edge if era is self._eras[0] else max(edge, era.since)

    def next(self, start: float) -> float:
        """Where the cell ends that holds what comes after ``start``."""
        era = self.at(start)
        later = [one.since for one in self._eras if one.since > start]
        return min([(start // era.interval + 1) * era.interval, *later])


class Metrics:
    """A Prometheus, and what Triton counts. ``now`` is the machine's clock; ``state`` decides what a question gets."""

    def __init__(
        self, now: Callable[[], float], monotonic: Callable[[], float], pass_: Callable[[float], None]
    ) -> None:
        self.prometheus = ScriptedPrometheus(now)
        self.prometheus.lookback = LOOKBACK
        self.state = "well"
        self.asked = 0
        self.told = 0.0  # when (``monotonic``) it said what time it is
        self.fails = range(0)  # the questions that are not answered, by their number
        self.times: list[float] = []
        self.raw: dict[Key, list[tuple[float, float]]] = {(name, one): [] for name in COUNTERS for one in MODELS}
        self.seen: dict[Point, float] = {}  # of gauges, by the bridge itself
        self._begun = BEGIN - 600  # when Triton was started
        self._pass = pass_
        self._monotonic = monotonic
        self._series: dict[Key, list[tuple[float, float]]] = {}
        self._up: list[tuple[float, float]] = []
        self.prometheus.add("up", self._up)
        for name in ("m", *COUNTERS):
            for model in MODELS:
                self._series[name, model] = []
                self.prometheus.add(name, self._series[name, model], model=model)

    def restart_triton(self, now: float) -> None:
        """All counters begin at zero."""
        self._begun = now

    def scrape(self, time: float) -> None:
        """A scrape, if Prometheus runs."""
        if self.state == "stopped":
            return
        self.times.append(time)
        self._up.append((time, 1.0))
        for key, samples in self._series.items():
            samples.append((time, self.value(key, time)))
            if key[0] in COUNTERS:
                self.raw[key].append(samples[-1])

    def value(self, key: Key, time: float) -> float:
        """What stands on Triton's port."""
        name, model = key
        if name == "m":
            return time % 100_000 + MODELS.index(model) / 4
        return math.floor(max(0.0, time - self._begun) * (COUNTERS[name] + MODELS.index(model)))

    def exposition(self, time: float) -> str:
        """All of it."""
        return "".join(f'{key[0]}{{model="{key[1]}"}} {self.value(key, time)}\n' for key in self._series)

    def saw(self, sighting: Sighting) -> None:
        """The bridge took a sample of its own."""
        for labels, value in (sighting.samples or {}).items():
            known = dict(labels)
            key = known["__name__"], known["model"]
            if key[0] not in COUNTERS:
                self.seen[key, sighting.time] = float(value)
                continue
            samples = self.raw[key]
            if (sighting.time, float(value)) not in samples:
                samples.append((sighting.time, float(value)))
                samples.sort()

    # -- what must come of it ----------------------------------------------------------------------------------------

    def scraped(self, start: float, end: float) -> bool:
        """Whether there was a scrape in (start, end]."""
        return bisect_right(self.times, start) < bisect_right(self.times, end)

    def row(self, key: Key, start: float, end: float) -> float | None:
        """The value of the point of (start, end]; None without one, NaN where it may be one or another."""
        if (key, end) in self.seen:
            # Posted now, or asked for later like any other grid time.
            return self.seen[key, end] if end % SCRAPE else math.nan
        if key[0] == "m":
            last = [time for time in self.times if end - LOOKBACK <= time <= end][-1:]
            return self.value(key, last[0]) if last else None
        samples = self.raw[key]
        first, beyond = bisect_right(samples, (start, math.inf)), bisect_right(samples, (end, math.inf))
        if first == beyond:
            return None
        before = samples[first - 1] if first else None
        if before is not None and end - before[0] > 3500:
            if end - before[0] < 3800:
                return math.nan
            before = None
        gained, last_value = 0.0, before[1] if before else samples[first][1]
        for _, value in samples[first:beyond]:
            gained += value - last_value if value >= last_value else value
            last_value = value
        return gained

    # -- as a Source -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        now = float(self._get("query", query="time()")["result"][1])
        self.told = self._monotonic()
        return now

    def ask(self, expr: str, at: float) -> list[Series]:
        result = self._get("query", query=expr, time=f"{at:.3f}")["result"]
        return [
            Series(row["metric"], [(time, value) for time, value in row.get("values") or [row["value"]]])
            for row in result
        ]

    def targets(self) -> list[Target]:
        (found,) = self._get("targets")["activeTargets"]
        return [Target(found["labels"]["job"], found["labels"]["instance"], SCRAPE, 4.0, "up", "")]

    def lookback(self) -> float:
        self._get("status/flags")
        return LOOKBACK

    def _get(self, path: str, **query: str) -> Any:
        self.asked += 1
        if self.state in {"away", "stopped"} or self.asked in self.fails:
            self._pass(1.0)
            raise PrometheusUnreachable("refused")
        self._pass(0.02)
        status, body = self.prometheus.reply(f"/api/v1/{path}", query)
        if status != 200:
            raise PrometheusRefused(status, body.decode())
        return json.loads(body)["data"]


class Service:
    """Application Insights behind a connection, as ``Delivery`` uses one. ``mood`` is a scripted reply, or "away"."""

    url = "http://sandbox"

    def __init__(self, world: World) -> None:
        self.endpoint = Endpoint(Limits(), lambda: world.true, None, 1_000_000, nan_per_item=False)
        self.mood: str | Scripted = AS_USUAL
        self.next: list[Scripted] = []
        self.slow: list[float] = []  # seconds that the next posts take
        self.refused = 0  # points
        self.doubtful: set[Point] = set()  # taken or not, and no reply told
        self._world = world

    def send(self, body: bytes, timeout: float) -> Reply | Silence:
        world = self._world
        points = world.flying
        world.disk.step("post")
        if self.mood == "away":
            world.pass_(0.5)
            return Silence(sent=False, detail="refused")
        assert isinstance(self.mood, Scripted)
        scripted = self.next.pop(0) if self.next else self.mood
        request = Request("/v2.1/track", body, "gzip", "application/json")
        reply = self.endpoint.track(request, scripted)
        world.disk.step("reply")
        latency = 0.02
        if self.slow:
            latency = self.slow.pop()
        world.pass_(min(latency, timeout))
        if scripted.silent or latency > timeout:
            self.doubtful |= points
            return Silence(sent=True, detail="no reply")
        self.refused += (scripted.status == 413) * len(points)
        self.refused += sum(one.status == 400 and one.message == "bad" for one in scripted.items.values())
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Reply(reply.status, headers, reply.body, self.url)

    def redirect(self, _: str) -> bool:
        return False

    def close(self) -> None:
        pass

    def rows(self) -> dict[float, dict[Key, list[float]]]:
        """What arrived, by time and series."""
        found: dict[float, dict[Key, list[float]]] = {}
        for row in self.endpoint.rows():
            time = seconds(row["timestamp"])
            assert time is not None
            key = row["name"], row["customDimensions"]["model"]
            found.setdefault(time, {}).setdefault(key, []).append(row["value"])
        return found


class Sink:
    """A Delivery of which is known what it posts."""

    def __init__(self, delivery: Delivery, world: World) -> None:
        self._delivery = delivery
        self._world = world

    def paused(self) -> Receipt | None:
        return self._delivery.paused()

    def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt:
        self._world.flying = points_of(batch)
        return self._delivery.post(batch, timeout=timeout)


class Watched(Cycle):
    """A Cycle of which is known what it takes to be in force."""

    world: World

    def in_force(self, selection: Selection, now: float) -> None:
        self.world.in_force(selection, now)
        try:
            super().in_force(selection, now)
        except Killed:
            self.world.forget(now)  # whether it was written
            raise


def points_of(batch: Batch) -> set[Point]:
    found = set()
    for item in map(json.loads, batch.items()):
        data, time = item["data"]["baseData"], seconds(item["time"])
        assert time is not None
        found.add(((data["metrics"][0]["name"], data["properties"]["model"]), time))
    return found


class World:
    """One bridge after another on one disk. Each method is something that happens; ``end_well`` and ``verify`` come last.

    ``true`` is the time (epoch s) that the service knows, the machine's clock may differ from it.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        random.seed(seed)  # of the jitter
        self.true, self.mono, self.offset = BEGIN - 600, 0.0, 0.0
        self.disk = Disk(seed)
        self.metrics = Metrics(self.machine, lambda: self.mono, self.pass_)
        self.service = Service(self)
        self.flying: set[Point] = set()
        self.in_flight: list[set[Point]] = []  # when a process was killed
        self.eras = Eras()
        self.stops: set[float] = set()  # ends of runs
        self.murky: list[tuple[float, float]] = []  # times that fell due under several eras
        self.unknown: list[tuple[float, float]] = []
        self.forgetful = False  # a process ended that could not write
        self.noteless = False  # not even in place
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
        self.unknown += self.backlog.account.unknown
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("bridge.delivery.Endpoint", lambda *_: self.service)
            delivery = Delivery(f"InstrumentationKey={KEY}", clock=self.machine, monotonic=lambda: self.mono)
        instruments = Instruments("0", lambda: self.backlog.account, lambda: self.backlog.durable)
        self._witness = Witness(self._folder)
        cycle = Watched(
            Terms(self._interval, 5.0, SCRAPE, "", 20_000, INSTANCE),
            self.metrics,
            Encoder(KEY, TAGS),
            Sink(delivery, self),
            instruments,
            self._witness,
            self.backlog,
            Patience(self._stop, clock=self.machine, monotonic=lambda: self.mono, sleep=self._sleep),
        )
        cycle.world = self
        self.turns = Turns(cycle, instruments, SelectionFile(self._file), self._stop, self.machine, limit=LIMIT)

    def _turn(self) -> None:
        self._surviving(self.turns.turn)

    def _close(self, seen: tuple[float, str] | None) -> None:
        self._stop.set()
        self.stops.add(round((seen[0] if seen else self.metrics.times[-1]) * 1000) / 1000)
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
            self.in_flight.append(self.flying)
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
        self.forgetful = True
        self.noteless |= self._disk == "read-only"
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
        since = self.eras.change(now, self._interval, names)
        if self._blank is not None:
            self.murky.append((self._blank, now + self._interval))
            self._blank = None
        if since is not None and since < self._high - self._interval:
            self.murky.append((since, self._high + self._interval))

    # -- the rules ---------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """The account adds up, no total fell, and the loop is whole."""
        for report in self.turns.board.snapshot().reports:
            assert "fault of the bridge" not in str(report.problems)
        account, before = self.backlog.account, self._before
        if account.origin is None:
            return
        if not (self.unknown or self.forgetful):
            assert account.read == sum(sum(detail.outcomes.values()) for detail in account.details)
        if before is not None:
            assert all(account.points[one] >= before.points[one] for one in account.points)
            assert all(account.cycles[one] >= before.cycles[one] for one in Settlement if one != Settlement.WAITING)
            assert account.possibly_repeated >= before.possibly_repeated
            assert account.unconfirmed >= before.unconfirmed
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
        account, rows = self.backlog.account, self.service.rows()
        assert self.backlog.durable
        assert account.origin is not None
        reached, untold = account.origin, 0
        for cell in reversed(account.details):
            if cell.start > reached:
                untold += self._hole(reached, cell.start, account)
            elif cell.start < reached:
                assert self._is_murky(cell.start, cell.time), "asked for twice"
            reached = max(reached, cell.time)
            self._verify_cell(cell, rows.get(cell.time, {}))
        if not (self.unknown or self.forgetful or self.murky):
            assert account.cycles[Settlement.EXPIRED] - untold == sum(
                detail.settlement is Settlement.EXPIRED for detail in account.details
            )
            assert account.due == len(account.details) + untold
            told = {cell.time for cell in account.details}
            assert [time for time in rows if time not in told and time > self._oldest()] == []
        doubt = self._doubtful()
        for time, found in rows.items() if not self.noteless else ():
            for key, values in found.items():
                assert len(values) == 1 or (key, time) in doubt, f"{key} at {time} is there {len(values)} times"
        if not self.forgetful:
            assert account.points[Outcome.REJECTED] <= self.service.refused
        repeated = sum(len(values) - 1 for found in rows.values() for values in found.values())
        if not self.forgetful:
            assert repeated <= account.possibly_repeated
        assert reached == self.eras.edge(self.machine() - 5.0)

    def _verify_cell(self, cell: Detail, rows: dict[Key, list[float]]) -> None:
        start, end = cell.start, cell.time
        if self._is_murky(start, end):
            return
        era = self.eras.at(start)
        assert start == self.eras.edge(start) or start in self.stops, f"({start}, {end}] is no cell"
        assert end == self.eras.next(start) or end in self.stops, f"({start}, {end}] is no cell"
        if cell.settlement is Settlement.NO_DATA:
            assert not self.metrics.scraped(end - era.interval, end)
            return
        expected: dict[Key, float] = {}
        for name in era.names:
            for model in MODELS:
                value = self.metrics.row((name, model), start, end)
                if value is not None:
                    expected[name, model] = value
        assert rows.keys() <= expected.keys(), f"{rows} at {end}: what is that?"
        for key, values in rows.items():
            if not math.isnan(expected[key]):
                assert set(values) == {expected[key]}, f"{key} of ({start}, {end}]"
        if cell.settlement is not Settlement.SETTLED:
            assert cell.settlement is Settlement.EXPIRED
            assert end <= self._oldest(), f"({start}, {end}] expired too early"
            return
        gone = cell.outcomes.get(Outcome.REJECTED, 0) + cell.outcomes.get(Outcome.EXPIRED, 0)
        missing = len(expected) - len(rows)
        if any((key, end) in self._doubtful() for key in expected):
            assert missing <= gone
        else:
            assert missing == gone, f"of ({start}, {end}] {missing} are missing"
            assert cell.outcomes.get(Outcome.ACCEPTED, 0) == len(rows)

    def _hole(self, start: float, end: float, account: Account) -> int:
        """How many cells nothing is told of: they expired unread. What is not known is said to be."""
        count = 0
        while start < end:
            if known := [high for low, high in self.unknown if low <= start < high]:
                start = max(known)
                continue
            edge = self.eras.next(start)
            if self._is_murky(start, edge):
                start = edge
                continue
            assert account.cycles[Settlement.EXPIRED] > 0, f"({start}, {edge}] is lost"
            assert edge <= self._oldest(), f"({start}, {edge}] expired too early"
            count, start = count + 1, edge
        return count

    def _oldest(self) -> float:
        """What is later must not have expired."""
        return min(self._high, self._well + PATIENCE) - LIMIT

    def _doubtful(self) -> set[Point]:
        return self.service.doubtful.union(*self.in_flight)

    def _is_murky(self, start: float, end: float) -> bool:
        return any(start < high and end > low for low, high in self.murky)
