"""Every way in which Application Insights may fail, at each batch of a cycle: nothing is lost, and the account adds up.

The bridge runs whole, over HTTP; only the clock is moved by hand. One fault a run; then all is well again, and turns go
on until nothing waits.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource

from bridge.account import Account
from bridge.backlog import Backlog
from bridge.cycle import Cycle, Patience, Terms
from bridge.delivery import Delivery, context_tags
from bridge.envelopes import Encoder
from bridge.instruments import Instruments
from bridge.points import Batch, Outcome, Receipt, Settlement
from bridge.prometheus import Prometheus
from bridge.sandbox import Sandbox
from bridge.selection import SelectionFile, load
from bridge.turns import Turns
from bridge.witness import Witness
from tests.scripted.clock import Clock
from tests.scripted.prometheus import ScriptedPrometheus

ORIGIN = 1_795_000_020.0  # a full minute
INTERVAL = 60.0
CYCLES = 8  # of which Prometheus has data: more than any run needs
MODELS = "abcdef"
POINTS, BATCHES = 12, 3  # of a cycle
HURRY = 0.25  # seconds for a post that will hang: the only real time in these tests

Row = tuple[str, frozenset[tuple[str, str]], str, float]
Script = list[dict[str, Any]]


# -- the faults --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fault:
    """What the service does instead of taking a batch of so many points.

    ``gone`` points are never taken: finally rejected, or too old. ``doubt``: whether they were taken is not known.
    ``lasts``: it does the same until the end of the turn. ``slow``: it outlasts the deadline of a post.
    """

    replies: Callable[[int], Script]
    gone: Callable[[int], int] = lambda _: 0
    doubt: bool = False
    unconfirmed: bool = False
    lasts: bool = False
    slow: bool = False
    kinds: tuple[str, ...] = ("live", "repair", "leftover")


def replying(**reply: Any) -> Fault:
    """A reply that costs no point."""
    return Fault(lambda _: [reply])


def naming(status: int, message: str = "") -> Fault:
    """A reply with this verdict on the first item."""
    return replying(items={"0": {"status": status, "message": message}})


def rejecting(**reply: Any) -> Fault:
    """A reply that means the end of one point."""
    return Fault(lambda _: [reply], gone=lambda _: 1)


def doubtful(*, slow: bool = False, **reply: Any) -> Fault:
    """No reply, or none that tells what was taken."""
    return Fault(lambda _: [reply], doubt=True, slow=slow)


def search(status: int) -> Callable[[int], Script]:
    """All replies to a batch of which the first point alone is refused, and no reply names it: level by level."""

    def replies(size: int) -> Script:
        found: Script = []
        parts = [(size, True)]
        for points, bad in parts:
            found.append({"status": status, "body": "no"} if bad else {"pass": True})
            if bad and points > 1:
                parts += [(points // 2, True), (points - points // 2, False)]
        return found

    return replies


TOO_OLD = "103: Field 'time' on type 'Envelope' is older than the allowed min date."
TOO_NEW = "104: Field 'time' on type 'Envelope' is more recent than the allowed max date."
NO_KEY = "Invalid instrumentation key"
HERE = "http://localhost:{port}/"
ONE_NAMED = {"itemsReceived": 1, "itemsAccepted": 0, "errors": [{"index": 0, "statusCode": 400, "message": "bad"}]}

FAULTS = {
    "200": replying(),
    "200 empty": Fault(lambda _: [{"empty": True}], unconfirmed=True),
    "200 of a proxy": replying(html=True),
    "200 for one point fewer": rejecting(short=1),
    **{f"206 keeps {status}": naming(status) for status in (401, 402, 408, 429, 439, 500, 503)},
    "206 keeps an unknown key": naming(400, NO_KEY),
    "206 keeps 104": naming(400, TOO_NEW),
    "206 rejects 400": rejecting(items={"0": {"status": 400, "message": "bad"}}),
    "206 samples out": rejecting(items={"0": {"status": 206, "message": "Telemetry sampled out."}}),
    "206 expires 103": rejecting(items={"0": {"status": 400, "message": TOO_OLD}}),
    "206 of all kinds": Fault(
        lambda _: [
            {
                "items": {
                    "0": {"status": 500},
                    "1": {"status": 400, "message": "bad"},
                    "2": {"status": 400, "message": TOO_OLD},
                }
            }
        ],
        gone=lambda _: 2,
    ),
    "206 redirects one": naming(307, f"Location: {HERE}"),
    "206 names an unknown index": rejecting(bad_index=99),
    "206 that is not Azure's": doubtful(status=206, body="{}"),
    "400 names all": Fault(lambda _: [{"status": 400}], gone=lambda size: size),
    "400 names one": rejecting(status=400, body=ONE_NAMED),
    "400 for the key": replying(status=400, body=NO_KEY),
    "400 names none, once": replying(status=400, body="no"),
    "400 names none, for one point": Fault(search(400), gone=lambda _: 1),
    # Not for leftovers: where others pass and these fail alone, each point is to blame for itself.
    **{
        f"{status} names none, and again": Fault(
            lambda _, status=status: [{"status": status, "body": "no"}],  # type: ignore[misc]
            lasts=True,
            kinds=("live", "repair"),
        )
        for status in (400, 413)
    },
    "307 within the family": replying(status=307, location=HERE),
    "308 within the family": replying(status=308, location=HERE),
    "308 elsewhere": replying(status=308, location="https://example.org/"),
    "308 nowhere": replying(status=308),
    **{str(status): replying(status=status) for status in (401, 402, 403, 404, 408, 439, 500, 503)},
    "413 once": replying(status=413, body="no"),
    "413 for one point": Fault(search(413), gone=lambda _: 1),
    "429": replying(status=429),
    "429 in seconds": replying(status=429, retry_after=7),
    "429 at a date": replying(status=429, retry_after="date:+7"),
    "429 beyond the cycle": replying(status=429, retry_after=130),
    "reset before": doubtful(reset="before"),
    "reset after": doubtful(reset="after"),
    "reply lost": doubtful(lost=True),
    "reply cut": doubtful(dribble={"every": 0, "most": 10}),
    "slow reply": replying(dribble=0.0002),
    "late reply": replying(delay=0.01),
    "hang": doubtful(slow=True, hang=True),
    "hang with all taken": doubtful(slow=True, hang=True, take=True),
    "reply too slow": doubtful(slow=True, dribble=0.05),
}
LASTING = ("200 of a proxy", "308 elsewhere", "401", "402", "429 in seconds", "500")
FAULTS |= {f"{name}, and again": Fault(FAULTS[name].replies, lasts=True) for name in LASTING}
FAULTS |= {"away": Fault(lambda _: [], lasts=True)}

MATRIX = [
    pytest.param(name, kind, place, id=f"{name}-{kind}-{('first', 'middle', 'last')[place]}")
    for name, fault in FAULTS.items()
    for kind in fault.kinds
    for place in range(BATCHES)
]


# -- the world ---------------------------------------------------------------------------------------------------------


@dataclass
class Ends:
    """What stands at both ends of the bridge, for all runs."""

    clock: Clock
    prometheus: ScriptedPrometheus
    sandbox: Sandbox
    selection: Path

    def rows(self) -> list[Row]:
        """What arrived."""
        return [
            (row["name"], frozenset(row["customDimensions"].items()), row["timestamp"], row["value"])
            for row in self.sandbox.rows()
        ]


class Troublemaker:
    """A real Delivery, to which the service does something at one of its posts, counted from ``arm`` on."""

    def __init__(self, ends: Ends, delivery: Delivery) -> None:
        self.look: Callable[[], object] = lambda: None  # before each post, and after it
        self.struck: Batch | None = None
        self._ends = ends
        self._delivery = delivery
        self._fault = FAULTS["200"]
        self._left = -1

    def arm(self, fault: Fault, posts: int) -> None:
        """Let the fault come after so many posts more."""
        self._fault, self._left = fault, posts

    def calm(self) -> None:
        """All is well."""
        self._ends.sandbox.script([])
        self._ends.sandbox.start()

    def paused(self) -> Receipt | None:
        return self._delivery.paused()

    def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt:
        self.look()
        self._left -= 1
        if self._left == -1:
            self._strike(batch)
            timeout = HURRY if self._fault.slow else timeout
        receipt = self._delivery.post(batch, timeout=timeout)
        self.look()
        return receipt

    def _strike(self, batch: Batch) -> None:
        self.struck = batch
        if self._fault is FAULTS["away"]:
            self._ends.sandbox.close()
            return
        port = self._ends.sandbox.url.rpartition(":")[2]
        script = self._fault.replies(batch.points)
        script = json.loads(json.dumps(script).replace("{port}", port))
        self._ends.sandbox.script([{**reply, "times": 1000 if self._fault.lasts else 1} for reply in script])


class Run:
    """One bridge, and what its account said so far."""

    def __init__(self, ends: Ends, folder: Path) -> None:
        clock = ends.clock
        clock.now = ORIGIN
        ends.sandbox.clear()
        ends.sandbox.script([])
        self.ends = ends
        self.delivery = Delivery(ends.sandbox.connection_string, clock=clock)
        self.sink = Troublemaker(ends, self.delivery)
        self.sink.look = self.check
        self.source = Prometheus(ends.prometheus.url)
        self.backlog = Backlog(folder, clock=clock)
        self.backlog.lock()
        instruments = Instruments()
        stop = threading.Event()
        key = ends.sandbox.connection_string.partition("=")[2].partition(";")[0]
        cycle = Cycle(
            Terms(interval=INTERVAL, settle_delay=5.0, scrape_interval=15.0, match="", max_series=20_000),
            self.source,
            Encoder(key, context_tags(Resource({}))),
            self.sink,
            instruments,
            Witness(folder),
            self.backlog,
            Patience(stop, clock=clock, monotonic=lambda: clock() - ORIGIN, sleep=clock.sleep),
        )
        cycle.in_force(load(ends.selection), ORIGIN)
        self.turns = Turns(cycle, instruments, SelectionFile(ends.selection), stop, clock)
        self.newest = ORIGIN
        self.certain = True  # no reply was lost: what arrived is what was accepted
        self._before: Account = self.backlog.account

    def close(self) -> None:
        self.backlog.close()
        self.source.close()
        self.delivery.close()

    def turn(self, cycle: int) -> None:
        """The turn in which that cycle is the newest, ten seconds after its time."""
        self.newest = ORIGIN + cycle * INTERVAL
        self.ends.clock.now = self.newest + 10
        self.turns.turn()
        for report in self.turns.board.snapshot().reports:
            assert "fault of the bridge itself" not in str(report.problems)
        self.check()
        if self.certain:
            assert self.backlog.account.points[Outcome.ACCEPTED] == len(self.ends.rows())

    def check(self) -> None:
        """The account adds up, agrees with what arrived, and none of its totals fell."""
        account, before = self.backlog.account, self._before
        assert account.due == (self.newest - ORIGIN) / INTERVAL
        read = [detail for detail in account.details if detail.outcomes]
        assert [sum(detail.outcomes.values()) for detail in read] == [POINTS] * len(read)
        assert account.read == POINTS * len(read)
        assert all(account.points[one] >= before.points[one] for one in account.points)
        assert all(account.cycles[one] >= before.cycles[one] for one in Settlement if one is not Settlement.WAITING)
        assert account.possibly_repeated >= before.possibly_repeated
        assert account.unconfirmed >= before.unconfirmed
        self._before = account


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """Servers for all runs."""
    clock = Clock(ORIGIN)
    file = tmp_path_factory.mktemp("selection") / "metrics.json"
    file.write_text(json.dumps({"customMetrics": ["m", {"metric": "c", "mode": "increase"}]}))
    with (
        pytest.MonkeyPatch.context() as patch,
        ScriptedPrometheus(clock) as prometheus,
        Sandbox(scriptable=True, now=clock) as sandbox,
    ):
        patch.setattr("bridge.envelopes.MAX_POINTS", POINTS // BATCHES)
        times = [ORIGIN - INTERVAL + 15 * n for n in range(1, 4 * CYCLES + 5)]
        prometheus.scrape(times)
        for n, model in enumerate(MODELS):
            prometheus.add("m", [(time, (time - ORIGIN) * 10 + n) for time in times], model=model)
            prometheus.add("c", [(time, float(k * k + n * k)) for k, time in enumerate(times)], model=model)
        # The heap of all tests is no bridge's, and not to be collected after each cycle.
        patch.setattr("bridge.turns.collect_between_cycles", lambda: None)
        yield Ends(clock, prometheus, sandbox, file)


@pytest.fixture(scope="module")
def undisturbed(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """What arrives where nothing fails, cycle by cycle."""
    run = Run(ends, tmp_path_factory.mktemp("undisturbed"))
    for cycle in range(1, CYCLES + 1):
        run.turn(cycle)
    run.close()
    assert len(ends.rows()) == len(set(ends.rows())) == CYCLES * POINTS
    return ends.rows()


@pytest.fixture
def run(ends: Ends, tmp_path: Path, undisturbed: list[Row]) -> Iterator[Run]:
    """A bridge whose account begins now."""
    random.seed(1)  # of the jitter
    run = Run(ends, tmp_path)
    yield run
    run.sink.calm()
    run.close()


def leave_over(run: Run) -> None:
    """A cycle of which one point of each batch was accepted, and the others wait as leftovers."""
    one = {"items": {str(n): {"status": 503} for n in range(1, POINTS // BATCHES)}}
    run.ends.sandbox.script([{**one, "times": BATCHES}, {"status": 429, "retry_after": 50}])
    run.turn(1)
    assert (run.backlog.account.leftovers, run.backlog.account.waiting[Outcome.WAITING]) == (1, POINTS - BATCHES)


@pytest.mark.parametrize(("name", "kind", "place"), MATRIX)
def test_a_fault_costs_what_the_service_refused_and_nothing_else(
    run: Run, undisturbed: list[Row], name: str, kind: str, place: int
) -> None:
    fault = FAULTS[name]
    run.certain = not fault.doubt
    # What is repaired, or left over, is the cycle before the newest one.
    if kind == "leftover":
        leave_over(run)
    run.sink.arm(fault, place if kind == "live" else BATCHES + place)
    run.turn(1 if kind == "live" else 2)
    assert run.sink.struck is not None
    struck = run.sink.struck
    assert {json.loads(item)["time"] for item in struck.items()} == {undisturbed[0][2]}, "of the cycle that is meant"
    assert bool(run.backlog.account.cycles[Settlement.WAITING]) >= fault.lasts
    run.sink.calm()

    turns = count(2 if kind == "live" else 3)
    while run.backlog.account.cycles[Settlement.WAITING]:
        run.turn(next(turns))

    account, rows = run.backlog.account, run.ends.rows()
    expected = set(undisturbed[: account.due * POINTS])
    gone = fault.gone(struck.points)
    assert set(rows) <= expected
    assert len(expected - set(rows)) == gone
    assert {row[2] for row in expected - set(rows)} <= {undisturbed[0][2]}
    rejected = account.points[Outcome.REJECTED] + account.points[Outcome.EXPIRED]
    assert (account.points[Outcome.ACCEPTED], rejected) == (len(set(rows)), gone)
    repeated = [row for row, times in Counter(rows).items() if times > 1]
    assert len(rows) - len(set(rows)) == len(repeated)
    if fault.doubt:
        assert len(repeated) in {0, struck.points}
        assert account.possibly_repeated == struck.points
    else:
        assert (repeated, account.possibly_repeated) == ([], 0)
    assert account.unconfirmed == (struck.points if fault.unconfirmed else 0)
