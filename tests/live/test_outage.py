"""Azure away, the bridge killed, Prometheus restarted, one after the other under steady traffic: nothing is lost.

Triton and Prometheus are real, the bridge is a process, and the sandbox stands in Azure's place.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.account import Account
from bridge.backlog import Backlog
from bridge.exposition import samples
from bridge.points import Outcome, Settlement
from bridge.sandbox import Sandbox
from examples import stack, traffic
from tests.scripted.program import Daemon

pytestmark = pytest.mark.live

INTERVAL = 4
DOWN = 5  # cycles
COUNTERS = (
    "nv_inference_request_success",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_request_duration_us",
)
SELECTION = [*({"metric": name, "mode": "increase"} for name in COUNTERS), {"metric": COUNTERS[0], "name": "so_far"}]

Identity = tuple[str, str, str]  # metric, model, version
Point = tuple[float, Identity]  # T


@dataclass
class Run:
    """What was counted, what arrived, and what the bridge says of it: before it was stopped, and after its end."""

    counted: dict[Identity, float]
    rows: list[dict[str, Any]]
    status: dict[str, Any]
    metrics: str
    account: Account
    log: str  # of the bridge that was killed

    @property
    def points(self) -> dict[Point, float]:
        """The values, by time and series."""
        return {point(row): row["valueSum"] for row in self.rows}

    @property
    def on_the_grid(self) -> dict[Point, float]:
        """All of them but what the last bridge posted at its end."""
        return {key: value for key, value in self.points.items() if key[0] % INTERVAL == 0}


class World:
    """Everything but the bridge, which comes and goes."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder = folder
        self.triton = running.enter_context(stack.triton(folder))
        self.prometheus = running.enter_context(
            stack.prometheus(folder, targets=[self.triton.metrics], scrape_interval="1s")
        )
        self.sandbox = running.enter_context(Sandbox(scriptable=True))
        (folder / "metrics.json").write_text(json.dumps({"customMetrics": SELECTION}))
        stack.wait(lambda: len(self.prometheus.query(COUNTERS[0])) == 2, "no scrape", self.prometheus)

    def bridge(self, log: str) -> Daemon:
        return Daemon(
            self.folder / log,
            APPLICATIONINSIGHTS_CONNECTION_STRING=self.sandbox.connection_string,
            BRIDGE_PROMETHEUS_URL=self.prometheus.url,
            BRIDGE_TRITON_TARGET=self.triton.metrics,
            BRIDGE_METRICS_FILE=str(self.folder / "metrics.json"),
            BRIDGE_STATE_DIR=str(self.folder / "state"),
            BRIDGE_INTERVAL=f"{INTERVAL}s",
            BRIDGE_SCRAPE_INTERVAL="1s",
            BRIDGE_SETTLE_DELAY="1s",
        )

    def counted(self) -> dict[Identity, float]:
        """What Triton itself has counted."""
        return {
            (labels["__name__"], labels["model"], labels["version"]): float(value)
            for labels, value in samples(self.triton.exposition())
            if labels["__name__"] in COUNTERS
        }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One outage after the other, the last of them in the repair of those before."""
    with ExitStack() as running:
        world = World(tmp_path_factory.mktemp("outage"), running)
        sandbox = world.sandbox
        first = running.enter_context(world.bridge("first.log"))
        first.wait_for("settled")
        with steady(world.triton):
            first.wait_for("settled", times=2)
            sandbox.script([{"status": 503, "times": 10_000}])
            first.wait_for("gap at ", times=2)
            sandbox.close()
            first.wait_for("gap at ", times=DOWN)
            sandbox.script([])
            posts = len(sandbox.posts())
            sandbox.start()
            stack.wait(lambda: len(sandbox.posts()) > posts, "nothing is posted")
            first.process.kill()
            time.sleep(DOWN * INTERVAL)
            second = running.enter_context(world.bridge("second.log"))
            second.wait_for("settled")
            world.prometheus.restart()
            back = time.time()
            stack.wait(lambda: caught_up(second, since=back + INTERVAL), "it does not catch up")
        stack.wait(lambda: caught_up(second, since=back), "it does not catch up")
        status, metrics = (requests.get(f"{second.url}/{page}", timeout=10) for page in ("status.json", "metrics"))
        second.process.send_signal(signal.SIGTERM)
        assert second.process.wait(10) == 0, second.log
        yield Run(
            world.counted(),
            sandbox.rows(),
            status.json(),
            metrics.text,
            Backlog(world.folder / "state" / "bridge").account,
            first.log,
        )


@contextmanager
def steady(triton: stack.TritonServer) -> Iterator[None]:
    """Requests to both models until the block is left."""
    left = threading.Event()

    def work() -> None:
        with traffic.opened(triton.http, "ident") as ident, traffic.opened(triton.http, "scorer", batch=3) as scorer:
            while not left.wait(0.05):
                assert ident()
                assert scorer()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


def caught_up(daemon: Daemon, since: float) -> bool:
    """Whether nothing waits, and something of later than ``since`` has arrived."""
    account = requests.get(f"{daemon.url}/status.json", timeout=10).json()
    return account["cycles"]["waiting"] == 0 and (account["last_delivered"] or 0) > since


def point(row: dict[str, Any]) -> Point:
    whole, _, fraction = row["timestamp"].rstrip("Z").partition(".")
    moment = datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
    return moment, (row["name"], row["customDimensions"]["model"], row["customDimensions"]["version"])


def test_the_gains_add_up_to_tritons_own_counters(run: Run) -> None:
    """The end of the last bridge included: what was counted after its last grid time."""
    gained: Counter[Identity] = Counter()
    for (_, series), value in run.points.items():
        if series[0] in COUNTERS:
            gained[series] += value

    assert min(run.counted.values()) > 0
    assert gained == run.counted


def test_each_gain_stands_at_its_own_time(run: Run) -> None:
    """Up to each grid time, they add up to what Prometheus held then."""
    gained: Counter[str] = Counter()
    for (moment, (name, model, version)), value in sorted(run.on_the_grid.items()):
        if name == COUNTERS[0]:
            gained[model] += value
            assert gained[model] == run.on_the_grid[moment, ("so_far", model, version)]

    assert set(gained) == {"ident", "scorer"}


def test_each_grid_time_holds_each_series_once(run: Run) -> None:
    """But those of a reply that was lost, by the kill or by the end of a sandbox: these are counted."""
    series = {*run.counted, *(("so_far", model, version) for _, model, version in run.counted)}
    no_data = {one.time for one in run.account.details if one.settlement is Settlement.NO_DATA}
    last = max(moment for moment, _ in run.on_the_grid)
    assert run.account.origin is not None
    due = set(range(int(run.account.origin) + INTERVAL, int(last) + 1, INTERVAL)) - no_data

    assert run.on_the_grid.keys() == {(moment, one) for moment in due for one in series}
    assert len(run.rows) - len(run.points) <= run.account.possibly_repeated
    assert len({(point(row), row["valueSum"]) for row in run.rows}) == len(run.points)


def test_the_account_adds_up(run: Run) -> None:
    status, account = run.status, run.account

    assert (status["read"], status["due"]) == (sum(status["points"].values()), sum(status["cycles"].values()))
    assert (status["cycles"]["waiting"], status["leftovers"], status["oldest_waiting"]) == (0, 0, None)
    assert "\ntriton_bridge_backlog_cycles 0.0\n" in run.metrics
    assert account.points == dict.fromkeys(account.points, 0) | {Outcome.ACCEPTED: len(run.points)}
    assert account.cycles[Settlement.SETTLED] == len({moment for moment, _ in run.points})
    assert account.due == sum(account.cycles[one] for one in (Settlement.SETTLED, Settlement.NO_DATA))


def test_fresh_ones_came_first_and_the_cycles_of_both_outages_after_them(run: Run) -> None:
    """Otherwise the tests above prove less than they say."""
    newest, late = 0.0, set()
    for moment, _ in map(point, run.rows):
        newest = max(newest, moment)
        if moment < newest:
            late.add(moment)

    assert run.log.count("gap at ") >= DOWN
    assert len(late) >= 2 * DOWN - 1
