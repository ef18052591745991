"""A whole run against a real Triton: what it counted before its first scrape and after its last one arrives too."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bridge.sandbox import Sandbox
from examples import stack, traffic
from tests.scripted.program import Daemon

pytestmark = pytest.mark.live

SELECTION = {"customMetrics": [{"metric": "nv_inference_request_success", "mode": "increase", "name": "requests"}]}


class Run:
    """Prometheus, the sandbox and a folder for state; Triton and bridges come and go."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.folder = folder
        self.ports = stack.free_ports(3)
        self.target = f"127.0.0.1:{self.ports[2]}"
        self.sandbox = running.enter_context(Sandbox())
        self.prometheus = running.enter_context(stack.prometheus(folder, targets=[self.target], scrape_interval="15s"))
        (folder / "metrics.json").write_text(json.dumps(SELECTION))

    def bridge(self, log: str) -> Daemon:
        """A bridge that has looked at Triton's port once."""
        daemon = Daemon(
            self.folder / log,
            APPLICATIONINSIGHTS_CONNECTION_STRING=self.sandbox.connection_string,
            BRIDGE_PROMETHEUS_URL=self.prometheus.url,
            BRIDGE_TRITON_TARGET=self.target,
            BRIDGE_METRICS_FILE=str(self.folder / "metrics.json"),
            BRIDGE_STATE_DIR=str(self.folder / "state"),
            BRIDGE_LOG_LEVEL="debug",
        )
        daemon.wait_for("status page at")
        return daemon

    def sum(self) -> float:
        """What Azure would show."""
        return sum(row["valueSum"] for row in self.sandbox.rows())


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with ExitStack() as running:
        yield Run(tmp_path, running)


def test_the_bundle_s_order_of_stopping_loses_nothing(run: Run) -> None:
    """SIGUSR1 to the bridge while Triton drains, SIGTERM when it has ended."""
    with run.bridge("bridge.log") as bridge, stack.triton(run.folder, ports=run.ports) as triton:
        traffic.send(triton.http, "ident", 37, rate=1000)
        bridge.wait_for("its counts begin at zero")
        traffic.send(triton.http, "scorer", 5, rate=1000)
        counted = triton.counter("nv_inference_request_success")
        bridge.process.send_signal(signal.SIGUSR1)
        assert triton.process
        triton.process.terminate()
        triton.process.wait(stack.STOP_S)
        bridge.process.terminate()

        assert bridge.process.wait(10) == 0, bridge.log
    assert (counted, run.sum()) == (42, 42), bridge.log


def test_a_sidecar_that_is_restarted_alone_counts_each_request_once(run: Run) -> None:
    with stack.triton(run.folder, ports=run.ports) as triton:
        stack.wait(lambda: bool(run.prometheus.query("nv_inference_request_success")), "no scrape", run.prometheus)
        for turn in range(3):
            with run.bridge(f"bridge{turn}.log") as bridge:
                traffic.send(triton.http, "ident", 11, rate=1000)
                bridge.process.terminate()
                assert bridge.process.wait(10) == 0, bridge.log

    assert run.sum() == 33
