"""The main job on real parts: Triton's counters, through Prometheus and our rules, to what Azure would hold.

One Triton serves all tests here: 200 requests over HTTP and gRPC, a restart between them, and a missed scrape. Each
Prometheus, with a bridge of its own, sees the same. Each defect of the program that this one replaces has a test on
the same live data.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.sandbox import Sandbox
from bridge.triton import recorded
from examples import stack, traffic
from tests.scripted.program import Daemon, triton_bridge

pytestmark = pytest.mark.live

INTERVAL = 10
SUMMARIES = ["--metrics-config=summary_latencies=true"]
RATES = [rate.name for rate in recorded() if rate.name != "nv_energy_consumption_irate"]  # which needs a GPU
SELECTION: list[object] = [
    "nv_inference_request_success",
    {"metric": "nv_inference_request_success", "mode": "increase", "name": "gained"},
    {"metric": "nv_inference_request_success", "mode": "rate", "name": "rate"},
    {"metric": "nv_inference_count", "mode": "irate", "name": "instant"},
    {"query": "sum by (model) (nv_inference_request_success)", "name": "by_model"},
    {"query": "sum by (model) (rate(nv_inference_request_success[5s]))", "name": "users_rate"},
    "nv_inference_request_failure",
    "nv_inference_request_summary_us",
    "nv_cpu_utilization",
    *RATES,
]


@dataclass
class Run:
    """What was done, and what came of it."""

    rows: list[dict[str, Any]]
    log: str
    metrics: str
    before_restart: float
    at_the_end: float
    environment: dict[str, str]
    prometheus: stack.PrometheusServer
    sandbox: Sandbox

    def of(self, name: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["name"] == name]


@dataclass
class Side:
    """One Prometheus before the Triton of all, and the bridge behind it."""

    prometheus: stack.PrometheusServer
    sandbox: Sandbox
    environment: dict[str, str]
    daemon: Daemon


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, prometheis: dict[str, Path | str]) -> Iterator[dict[Path, Run]]:
    """Start everything, send 200 requests, restart Triton, stop it for a scrape, and let the last rows arrive."""
    workdir = tmp_path_factory.mktemp("main_job")
    folders = [folder for folder in prometheis.values() if isinstance(folder, Path)]
    with ExitStack() as running:
        triton = running.enter_context(stack.triton(workdir, extra_flags=SUMMARIES))
        sides = [_start(running, triton, folder, tmp_path_factory.mktemp("prometheus")) for folder in folders]
        _send(triton, 100)
        # What is under way between the last scrape and the end of a Triton, nobody sees.
        _wait_for_scrapes(sides)
        before_restart = triton.counter("nv_inference_request_success")
        triton.restart()
        _wait_for_scrapes(sides)
        _send(triton, 50)
        _miss_a_scrape_at_the_grid(triton)
        _send(triton, 50)
        settled = [side.daemon.log.count("settled") for side in sides]
        for side, count in zip(sides, settled, strict=True):
            side.daemon.wait_for("settled", times=count + 3)
        at_the_end = triton.counter("nv_inference_request_success")
        yield {folder: _end(side, before_restart, at_the_end) for folder, side in zip(folders, sides, strict=True)}


@pytest.fixture
def run(runs: dict[Path, Run], prometheus_folder: Path) -> Run:
    """What came of it with each Prometheus."""
    return runs[prometheus_folder]


def _start(running: ExitStack, triton: stack.TritonServer, folder: Path, workdir: Path) -> Side:
    """Start a Prometheus and a bridge, and wait for the first scrape."""
    prometheus = running.enter_context(
        stack.prometheus(workdir, targets=[triton.metrics], scrape_interval="1s", folder=folder)
    )
    sandbox = running.enter_context(Sandbox(scriptable=True))
    selection = workdir / "metrics.json"
    selection.write_text(json.dumps({"customMetrics": SELECTION}))
    environment = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": sandbox.connection_string,
        "BRIDGE_PROMETHEUS_URL": prometheus.url,
        "BRIDGE_METRICS_FILE": str(selection),
        "BRIDGE_INTERVAL": f"{INTERVAL}s",
        "BRIDGE_SCRAPE_INTERVAL": "1s",
        "BRIDGE_SETTLE_DELAY": "2s",
    }
    stack.wait(lambda: bool(prometheus.query("nv_inference_request_success")), "no scrape", prometheus)
    daemon = running.enter_context(Daemon(workdir / "bridge.log", **environment))
    return Side(prometheus, sandbox, environment, daemon)


def _end(side: Side, before_restart: float, at_the_end: float) -> Run:
    """Stop the bridge; Prometheus and the sandbox stay."""
    metrics = requests.get(f"{side.daemon.url}/metrics", timeout=10).text
    side.daemon.process.send_signal(signal.SIGTERM)
    assert side.daemon.process.wait(10) == 0
    return Run(
        rows=side.sandbox.rows(),
        log=side.daemon.log,
        metrics=metrics,
        before_restart=before_restart,
        at_the_end=at_the_end,
        environment=side.environment,
        prometheus=side.prometheus,
        sandbox=side.sandbox,
    )


def _send(triton: stack.TritonServer, count: int) -> None:
    for url in (triton.http, triton.grpc):
        assert traffic.send(url, "ident", count // 2, rate=count / 8) == count // 2


def _wait_for_scrapes(sides: list[Side]) -> None:
    now = time.time()
    for prometheus in (side.prometheus for side in sides):
        stack.wait(
            lambda server=prometheus: any(value > now for _, value in server.query("timestamp(up) and up == 1")),
            "no scrape",
            prometheus,
        )


def _miss_a_scrape_at_the_grid(triton: stack.TritonServer) -> None:
    """Stop Triton from 2.5 s before a grid time until 1.5 s after it: the scrapes in between fail."""
    assert triton.process
    time.sleep((-2.5 - time.time()) % INTERVAL)
    triton.process.send_signal(signal.SIGSTOP)
    time.sleep(4)
    triton.process.send_signal(signal.SIGCONT)


def test_the_gains_add_up_to_tritons_own_counter(run: Run) -> None:
    """Over a restart and a missed scrape, to the unit."""
    assert run.before_restart + run.at_the_end == 200
    assert sum(row["valueSum"] for row in run.of("gained")) == 200


def test_each_grid_time_holds_each_series_once(run: Run) -> None:
    keys = [(row["name"], row["timestamp"], tuple(sorted(row["customDimensions"].items()))) for row in run.rows]

    assert len(keys) == len(set(keys))
    assert all(row["timestamp"].endswith("0Z") for row in run.rows)


def test_the_scrape_at_a_grid_time_was_missed(run: Run) -> None:
    """Otherwise the test above proves less than it says."""
    down = run.prometheus.query("count_over_time((up == 0)[2m:1s])")

    assert sum(value for _, value in down) > 0


def test_every_rate_that_this_triton_can_feed_arrives_finite(run: Run) -> None:
    """Defect: rates over windows shorter than two scrapes, and rules that were never loaded, gave nothing at all."""
    arrived = {name: [row["valueSum"] for row in run.of(name)] for name in RATES}

    assert [name for name, values in arrived.items() if not values] == []
    assert all(math.isfinite(value) and value >= 0 for values in arrived.values() for value in values)
    assert max(arrived["nv_inference_request_success_irate"]) > 0


def test_rates_are_sent_per_second(run: Run) -> None:
    """The rate is over the time from the sample before to the last one: about the interval, less after a restart."""
    gained, rate = (
        {row["timestamp"]: row["valueSum"] for row in run.of(name) if _ident(row)} for name in ("gained", "rate")
    )

    assert all((value > 0) == (gained[moment] > 0) for moment, value in rate.items())
    assert any(rate[moment] == pytest.approx(value / INTERVAL, rel=0.2) for moment, value in gained.items() if value)
    assert max(row["valueSum"] for row in run.of("instant")) > 1


@pytest.mark.parametrize("name", ["by_model", "users_rate"])
def test_a_query_of_the_users_own_arrives(run: Run, name: str) -> None:
    """Newer Prometheis remark on a rate of a name without ``_total``: the answer is whole all the same."""
    assert {row["customDimensions"]["model"] for row in run.of(name)} == {"ident", "scorer"}


def test_the_selection_is_what_is_sent(run: Run) -> None:
    """Defects: ``metrics.json`` was never read; ``up`` and ``scrape_*`` were sent; later metrics never were."""
    selected = {entry if isinstance(entry, str) else entry["name"] for entry in SELECTION}  # type: ignore[index]

    assert {row["name"] for row in run.rows} == selected
    first = min(row["timestamp"] for row in run.rows)
    assert min(row["timestamp"] for row in run.of("nv_inference_count_irate")) >= first


def test_every_label_is_a_dimension(run: Run) -> None:
    """Defect: only ``model`` and ``version`` were kept, so reasons and quantiles fell onto one another."""
    reasons = {row["customDimensions"]["reason"] for row in run.of("nv_inference_request_failure")}
    quantiles = {row["customDimensions"]["quantile"] for row in run.of("nv_inference_request_summary_us")}

    assert reasons == {"REJECTED", "CANCELED", "BACKEND", "OTHER"}
    assert quantiles == {"0.5", "0.9", "0.95", "0.99", "0.999"}
    assert {row["cloud_RoleName"] for row in run.rows} == {"triton"}
    assert all(row["cloud_RoleInstance"] for row in run.rows)


def test_not_a_number_is_counted_and_never_sent(run: Run) -> None:
    """Defect: the NaN of an idle summary made a whole push fail, unseen."""
    (not_finite,) = re.findall(r'^triton_bridge_points_total\{outcome="not_finite"\} (\S+)', run.metrics, re.MULTILINE)

    assert float(not_finite) > 0  # the model without requests
    assert all(math.isfinite(row["valueSum"]) for row in run.rows)


def test_the_account_adds_up(run: Run) -> None:
    counts = dict(re.findall(r'^triton_bridge_points_total\{outcome="(\w+)"\} (\S+)', run.metrics, re.MULTILINE))
    posted = [
        re.search(r"(\d+) points \((\d+) accepted(?:, (\d+) not_finite)?\)", line) for line in run.log.splitlines()
    ]

    assert float(counts["rejected"]) == float(counts["expired"]) == float(counts["left_out"]) == 0
    assert all(int(m[1]) == int(m[2]) + int(m[3] or 0) for m in posted if m)
    assert sum(int(m[2]) for m in posted if m) == len(run.rows)


def test_success_is_said_only_of_what_was_accepted(run: Run) -> None:
    """Defect: "Successfully pushed" was logged whatever had happened."""
    run.sandbox.script([{"status": 503, "times": 1000}])
    done = triton_bridge("once", **run.environment)
    run.sandbox.script([])

    assert done.returncode == 1
    assert "gap at " in done.stderr
    assert "settled" not in done.stderr


def test_check_tells_of_rules_that_are_not_loaded(run: Run, prometheus_folder: Path, tmp_path: Path) -> None:
    """Defect: the configuration named a rule file that was not there, and Prometheus started all the same."""
    with stack.prometheus(tmp_path, targets=["127.0.0.1:9"], scrape_interval="1s", folder=prometheus_folder) as bare:
        shutil.rmtree(bare.config / "rules")
        bare.reload()
        done = triton_bridge("check", **{**run.environment, "BRIDGE_PROMETHEUS_URL": bare.url})

    assert done.returncode == 2
    assert "nv_inference_count_irate is recorded by a rule that this Prometheus has not loaded" in done.stderr


def test_check_tells_of_windows_shorter_than_two_scrapes(run: Run, prometheus_folder: Path, tmp_path: Path) -> None:
    """Defect: ``irate(x[10s])`` over scrapes 30 s apart is always empty."""
    with stack.prometheus(tmp_path, targets=["127.0.0.1:9"], scrape_interval="30s", folder=prometheus_folder) as other:
        rules = other.config / "rules" / "triton.yml"
        rules.write_text(rules.read_text().replace("irate(nv_inference_count[1m])", "irate(nv_inference_count[10s])"))
        other.reload()
        stack.wait(lambda: bool(other.api("targets")["activeTargets"]), "no target", other)
        done = triton_bridge("check", **{**run.environment, "BRIDGE_PROMETHEUS_URL": other.url})

    assert done.returncode == 2
    assert "error: rule nv_inference_count_irate: irate(…[10s]) never holds two samples" in done.stderr


def test_check_tells_what_is_wrong_with_a_selection(run: Run, tmp_path: Path) -> None:
    selection = tmp_path / "metrics.json"
    wrong = [
        "nv_inference_request_sucess",
        "nv_gpu_utilization",
        {"query": "sum(", "name": "bad"},
        "nv_inference_count",
    ]
    selection.write_text(json.dumps({"customMetrics": wrong}))
    done = triton_bridge("check", **{**run.environment, "BRIDGE_METRICS_FILE": str(selection)})

    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert any("customMetrics[0]" in line and "nearest: nv_inference_request_success" in line for line in lines)
    assert any("customMetrics[1]" in line and "Triton exposes it with a GPU" in line for line in lines)
    assert any(
        line.startswith("error: metrics.json: customMetrics[2].query") and "parse error" in line for line in lines
    )
    assert any("customMetrics[3]" in line and '"mode": "increase"' in line for line in lines)


def test_catalog_tells_what_is_known_present_and_selected(run: Run) -> None:
    lines = {line["name"]: line for line in json.loads(triton_bridge("catalog", "--json", **run.environment).stdout)}

    assert (
        lines["nv_inference_request_success"] | {"present": True, "selected": "value, increase, rate"}
        == (lines["nv_inference_request_success"])
    )
    assert (lines["nv_gpu_utilization"]["present"], lines["nv_gpu_utilization"]["selected"]) == (False, "")
    assert lines["nv_inference_count_irate"]["present"]


def test_check_finds_nothing_wrong_with_the_running_stack(run: Run) -> None:
    done = triton_bridge("check", **run.environment)

    assert [line for line in done.stderr.splitlines() if line.startswith(("error", "failure"))] == []
    assert done.returncode == 0
    assert "points a day" in done.stderr


def _ident(row: dict[str, Any]) -> bool:
    return bool(row["customDimensions"].get("model") == "ident")
