"""Takes containers that post to a sandbox, gives what Azure would show of them, and what was sent to Triton."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from examples import stack, traffic
from tests.image.engine import Container, environment, rows

SUCCESSES = "nv_inference_request_success"
# What is counted to the unit, and a metric that is there without any model.
SELECTION = {"customMetrics": ["nv_cpu_utilization", {"metric": SUCCESSES, "mode": "increase"}]}
FAST = environment(BRIDGE_INTERVAL="5s", BRIDGE_SCRAPE_INTERVAL="1s", BRIDGE_SETTLE_DELAY="1s")
MODELS = f"--volume={stack.MODELS}:/models:ro"
BRIDGE = "/opt/bridge/bin/python -I /opt/bridge/bin/triton-bridge run"
PROMETHEUS = "/usr/local/bin/prometheus"


@dataclass(frozen=True)
class Azure:
    """A sandbox in a network of its own; ``string`` is the connection string by which containers there reach it."""

    endpoint: Container
    network: str
    string: str

    @property
    def options(self) -> list[str]:
        """Those of docker run that put a container there, and let it post."""
        return [f"--network={self.network}", *environment(APPLICATIONINSIGHTS_CONNECTION_STRING=self.string)]

    def shown(self) -> float:
        """How many requests Azure would show."""
        return sum(row["valueSum"] for row in rows(self.endpoint) if row["name"] == SUCCESSES)

    def wait_shown(self, wanted: float, bridge: Container, seconds: float = 40) -> None:
        """Until that many requests are shown; past that, the bridge's log tells why."""
        try:
            stack.wait(lambda: self.shown() >= wanted, "too few requests", seconds=seconds)
        except stack.StackError as error:
            raise stack.StackError(f"{error}: {self.shown():g} of {wanted:g} are shown\n{bridge.log}") from None

    def delivered(self) -> tuple[float, int]:
        """The same where each series counts once at each of its times, and how many rows are there again."""
        arrived = rows(self.endpoint)
        distinct = {(row["timestamp"], row["name"], *sorted(row["customDimensions"].items())): row for row in arrived}
        once = sum(row["valueSum"] for row in distinct.values() if row["name"] == SUCCESSES)
        return once, len(arrived) - len(distinct)

    def wait_delivered(self, wanted: float, bridge: Container) -> None:
        """Until nothing waits in the bridge, and that many requests are shown where each row counts once."""
        wait_for(
            lambda: gauge(bridge, "backlog_cycles") == 0 and self.delivered()[0] == wanted,
            f"not delivered: {wanted:g}",
            bridge,
        )

    def times(self, name: str) -> list[int]:
        """Which grid times it has rows for (epoch s), in order."""
        told = sorted({row["timestamp"] for row in rows(self.endpoint) if row["name"] == name})
        return [int(datetime.fromisoformat(each.replace("Z", "+00:00")).timestamp()) for each in told]

    @contextmanager
    def away(self) -> Iterator[None]:
        """It is in no network meanwhile, and its name leads nowhere. What arrived cannot be asked for either."""
        engine, name = self.endpoint.engine, self.endpoint.name
        engine("network", "disconnect", self.network, name)
        try:
            yield
        finally:
            engine("network", "connect", "--alias=sandbox", self.network, name)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """It says nothing meanwhile. What is sent is taken afterwards, when nobody waits for its reply any more."""
        engine, name = self.endpoint.engine, self.endpoint.name
        engine("pause", name)
        try:
            yield
        finally:
            engine("unpause", name)

    def number(self, name: str) -> int:
        """How many rows arrived under a name."""
        return sum(row["name"] == name for row in rows(self.endpoint))

    def wait_row(self, name: str) -> None:
        """Until something arrived under a name."""
        stack.wait(lambda: self.number(name) > 0, f"no {name}", seconds=40)


def mounted(folder: Path, document: object = SELECTION) -> str:
    """The option of docker run that mounts a folder with this metrics.json, or this text, in the place of ours."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    put(folder / "metrics.json", document if isinstance(document, str) else json.dumps(document))
    return f"--volume={folder}:/etc/bridge:ro"


def put(path: Path, text: str) -> None:
    """Put a file in place whole, readable by any user; the one that was there is replaced, as by an editor."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    beside.chmod(0o644)
    beside.replace(path)


def send(pod: Container, count: int, model: str = "ident") -> int:
    """Send so many requests, all of which must succeed, as fast as they are answered."""
    succeeded = traffic.send(f"http://{pod.address(8000)}", model, count)
    assert succeeded == count, pod.log
    return succeeded


@dataclass
class Tally:
    """How many requests were sent so far, and how many succeeded."""

    sent: int = 0
    succeeded: int = 0


@contextmanager
def trickle(pod: Container, every: float = 0.05) -> Iterator[Tally]:
    """Requests one after the other, so many seconds apart, until the block is left."""
    tally, left = Tally(), threading.Event()

    def run() -> None:
        with traffic.opened(f"http://{pod.address(8000)}", "ident") as infer:
            while not left.wait(every):
                tally.sent += 1
                tally.succeeded += infer()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield tally
    finally:
        left.set()
        thread.join()


def counted(pod: Container) -> float:
    """What Triton itself says that it has answered."""
    lines = pod.get(8002, "/metrics").splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(SUCCESSES + "{"))


def samples(pod: Container, model: str = "ident", port: int = 9090) -> list[tuple[float, float]]:
    """All raw samples that Prometheus holds of a model's successes: time (epoch s) and value."""
    query = urlencode({"query": f'{SUCCESSES}{{model="{model}"}}[1h]'})
    [series] = json.loads(pod.get(port, f"/api/v1/query?{query}"))["data"]["result"]
    return [(time, float(value)) for time, value in series["values"]]


def gained(raw: list[tuple[float, float]]) -> float:
    """What a counter gained that began at zero: a value below the one before began at zero again."""
    values = [0.0, *(value for _, value in raw)]
    return sum(value - before if value >= before else value for before, value in pairwise(values))


def gauge(bridge: Container, name: str) -> float:
    """One of the bridge's own metrics."""
    found = re.search(rf"^triton_bridge_{name} (\S+)$", bridge.get(9464, "/metrics"), re.MULTILINE)
    assert found, name
    return float(found[1])


def status(bridge: Container) -> dict[str, Any]:
    """The bridge's status."""
    found: dict[str, Any] = json.loads(bridge.get(9464, "/status.json"))
    return found


def wait_scraped(pod: Container) -> None:
    """Until Prometheus has scraped Triton."""
    wait_for(lambda: pod.query('up{job="triton"} == 1') != [], "Prometheus does not scrape", pod)


def wait_cycle(pod: Container) -> None:
    """Until all that Triton has counted by now, for the one model that is asked, was scraped and sent."""
    wanted = counted(pod)
    wait_for(lambda: samples(pod)[-1][1] == wanted, "no scrape", pod)
    scraped, _ = samples(pod)[-1]
    wait_for(
        lambda: any(one["time"] >= scraped and sum(one["outcomes"].values()) for one in status(pod)["reports"]),
        "no cycle",
        pod,
    )


def wait_for(condition: Callable[[], bool], failure: str, container: Container, seconds: float = 60) -> None:
    """Until it holds; while nothing answers it does not. The log tells why it never did."""

    def holds() -> bool:
        try:
            return condition()
        except OSError:
            return False

    try:
        stack.wait(holds, failure, seconds=seconds)
    except stack.StackError as error:
        raise stack.StackError(f"{error}\n{container.log}") from None


def wait_hurried(container: Container, text: str, times: int = 1) -> None:
    """As Container.wait, but every back-off of more than 2 s is cut short. How long it was to be stands in the log."""
    long = "case $(tr '\\0' ' ' < $p/cmdline) in 'sleep '[12]' ') ;; *) kill -s KILL ${p#/proc/} ;; esac"
    loop = f'for p in /proc/[0-9]*; do read -r name < $p/comm; [ "$name" != sleep ] || {long}; done'

    def told() -> bool:
        if container.log.count(text) >= times:
            return True
        container.exec("sh", "-c", f"exec 2> /dev/null; {loop}; true")
        return False

    wait_for(told, f"no {text!r}", container)
