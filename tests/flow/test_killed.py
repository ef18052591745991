"""The real process, killed at any moment of its life and started again: nothing is lost, one batch a kill repeated.

These kills are timed; ``tests/unit/backlog/test_crash.py`` has one at every step of the disk.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from random import Random
from typing import Any

import pytest
import requests

from bridge.account import Account
from bridge.backlog import Backlog
from bridge.points import Outcome, Settlement
from bridge.sandbox import Sandbox
from examples.stack import wait
from tests.scripted.program import Daemon
from tests.scripted.prometheus import ScriptedPrometheus

KILLS = 51
SERIES = range(8)
BATCH = 3  # points
SECONDS = 900  # of samples
SELECTION = {"customMetrics": [{"metric": "m", "mode": "increase"}]}
# Seconds that a taken batch waits for its reply: time enough for a kill.
SLOW = [{"delay": delay} for delay in (0.01, 0.04, 0.02, 0.07, 0.03)] * 2_000

Point = tuple[int, int]  # T, series


class SmallBatches(Daemon):
    """The program as it is, but with several batches a cycle, so that kills come between two of them."""

    program = ("-c", f"from bridge import cli, envelopes; envelopes.MAX_POINTS = {BATCH}; cli.main()")


@dataclass
class Run:
    """What arrived, and what the bridge knows of it after its end; ``last_start`` (epoch s) came after all kills."""

    arrived: list[tuple[Point, float]]
    account: Account
    logs: str
    last_start: float

    @property
    def points(self) -> Counter[Point]:
        """Each point, and how often it arrived."""
        return Counter(point for point, _ in self.arrived)

    @property
    def times(self) -> range:
        """The grid times from the first that arrived to the last before which nothing waits."""
        first, last = min(self.points)[0], max(self.points)[0]
        return range(first, min(last + 1, int(self.account.oldest_waiting or last + 1)))


def gain(second: int, series: int) -> int:
    """What a series gains in the second that ends then: something else than its neighbours in time and number."""
    return (7 * second + 3 * series) % 11 + 1


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Kill it again and again, and let it end well at last."""
    folder, random = tmp_path_factory.mktemp("killed"), Random(20)
    (folder / "metrics.json").write_text(json.dumps(SELECTION))
    with ScriptedPrometheus(time.time) as prometheus, Sandbox(scriptable=True) as sandbox:
        count(prometheus, int(time.time()))
        sandbox.script(SLOW)
        settings = {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": sandbox.connection_string,
            "BRIDGE_PROMETHEUS_URL": prometheus.url,
            "BRIDGE_METRICS_FILE": str(folder / "metrics.json"),
            "BRIDGE_INTERVAL": "1s",
            "BRIDGE_SETTLE_DELAY": "0s",
            "BRIDGE_TRITON_TARGET": "127.0.0.1:9",
            "BRIDGE_STATE_DIR": str(folder / "state"),
        }
        for life in range(KILLS):
            with SmallBatches(folder / f"{life}.log", **settings) as daemon:
                wait_a_while(life, daemon, sandbox, random)
                assert daemon.process.poll() is None, daemon.log
        sandbox.script([])
        last_start = time.time()
        with SmallBatches(folder / "last.log", **settings) as daemon:
            wait(lambda: caught_up(daemon, last_start), "it did not catch up")
            daemon.process.terminate()
            assert daemon.process.wait(10) == 0, daemon.log
        arrived = [(point(row), row["valueSum"]) for row in sandbox.rows()]
    logs = "".join(log.read_text() for log in folder.glob("*.log"))
    return Run(arrived, Backlog(folder / "state" / "bridge").account, logs, last_start)


def count(prometheus: ScriptedPrometheus, now: int) -> None:
    """A scrape in the middle of each second, from a minute ago on and into the future: nobody asks for that yet."""
    prometheus.scrape_interval, prometheus.scrape_timeout = "1s", "100ms"
    seconds = range(now - 60, now + SECONDS)
    times = [second - 0.5 for second in seconds]
    prometheus.scrape(times)
    for series in SERIES:
        counted = accumulate(float(gain(second, series)) for second in seconds)
        prometheus.add("m", list(zip(times, counted, strict=True)), series=str(series))


def wait_a_while(life: int, daemon: Daemon, sandbox: Sandbox, random: Random) -> None:
    """Into its start, into its cycles and repairs, and into one of its posts, in turn."""
    if life % 3 == 0:
        time.sleep(random.uniform(0.1, 1.2))
    elif life % 3 == 1:
        daemon.wait_for("status page at ")
        time.sleep(random.uniform(0, 1))
    else:
        posts = sandbox.replies_left - random.randint(1, 9)
        end = time.monotonic() + 30
        while sandbox.replies_left > posts:
            assert time.monotonic() < end, daemon.log
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.06))


def caught_up(daemon: Daemon, since: float) -> bool:
    """Whether nothing waits but newer grid times than those that were delivered, and some that fell due ``since``."""
    account = requests.get(f"{daemon.url}/status.json", timeout=10).json()
    delivered, oldest = account["last_delivered"] or 0.0, account["oldest_waiting"]
    return delivered > since and (oldest is None or oldest > delivered) and account["leftovers"] == 0


def point(row: dict[str, Any]) -> Point:
    moment = datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00")).timestamp()
    assert moment == int(moment), "off the grid"
    return int(moment), int(row["customDimensions"]["series"])


def test_each_series_arrives_for_each_second_with_what_it_gained(run: Run) -> None:
    expected = {(time, series): {gain(time, series)} for time in run.times for series in SERIES}
    arrived: dict[Point, set[float]] = {}
    for found, value in run.arrived:
        if found[0] in run.times:
            arrived.setdefault(found, set()).add(value)

    assert run.times[-1] > run.last_start
    assert arrived == expected


def test_no_more_than_one_batch_a_kill_arrives_again(run: Run) -> None:
    """The same points come in the same batches, whether it is asked for again or posted as it was left."""
    again = Counter({(time, series // BATCH): times - 1 for (time, series), times in run.points.items()})
    whole = all(again[time, series // BATCH] == times - 1 for (time, series), times in run.points.items())

    assert whole
    assert 0 < again.total() <= KILLS, "some kills came between a batch and its reply"


def test_what_may_have_arrived_twice_is_counted(run: Run) -> None:
    repeated = sum(times - 1 for times in run.points.values())

    assert repeated <= run.account.possibly_repeated <= KILLS * BATCH


def test_the_account_adds_up_over_all_lives(run: Run) -> None:
    """A point that arrived twice was read once; what waits at the end are grid times that fell due a moment ago."""
    account, times = run.account, {time for time, _ in run.points}

    assert account.origin == min(times) - 1
    assert account.cycles == dict.fromkeys(Settlement, 0) | {
        Settlement.SETTLED: len(times),
        Settlement.WAITING: account.cycles[Settlement.WAITING],
    }
    assert account.points == dict.fromkeys(account.points, 0) | {Outcome.ACCEPTED: len(run.points)}
    assert (account.leftovers, account.read, account.unknown) == (0, len(run.points), ())
    assert account.oldest_waiting is None or account.oldest_waiting > run.last_start


def test_no_kill_damages_what_is_kept(run: Run) -> None:
    for words in ("damaged", "is not known", "fault of the bridge"):
        assert words not in run.logs
