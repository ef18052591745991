"""The shipped Prometheus scrapes the bridge: its health is selected like any other metric, and changes nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.instruments import JOB
from bridge.prometheus import Prometheus
from bridge.sandbox import Sandbox
from bridge.selection import load
from bridge.states import State
from examples import stack
from tests.scripted.program import Daemon, triton_bridge

pytestmark = pytest.mark.live

PRESET = stack.ROOT / "config" / "presets" / "bridge.json"
INTERVAL = "5s"
SELECTION = [*json.loads(PRESET.read_text(encoding="utf-8"))["customMetrics"], "up"]


@dataclass
class World:
    """A Prometheus before a Triton that does not run, and where a bridge would listen."""

    prometheus: stack.PrometheusServer
    triton: str
    bridge: str
    folder: Path

    def environment(self, sandbox: Sandbox, *metrics: object) -> dict[str, str]:
        file = self.folder / "metrics.json"
        file.write_text(json.dumps({"customMetrics": metrics}), encoding="utf-8")
        return {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": sandbox.connection_string,
            "BRIDGE_PROMETHEUS_URL": self.prometheus.url,
            "BRIDGE_TRITON_TARGET": self.triton,
            "BRIDGE_METRICS_FILE": str(file),
            "BRIDGE_INTERVAL": INTERVAL,
            "BRIDGE_SETTLE_DELAY": "1s",
        }


@pytest.fixture(scope="module")
def world(prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("own")
    triton, bridge = (f"127.0.0.1:{port}" for port in stack.free_ports(2))
    with stack.prometheus(
        folder, targets=[triton], scrape_interval="1s", bridge=bridge, folder=prometheus_folder
    ) as prometheus:
        stack.wait(lambda: len(prometheus.query("up offset 7s")) == 2, "targets are not scraped", prometheus)
        yield World(prometheus, triton, bridge, folder)


# -- before a bridge runs --------------------------------------------------------------------------------------------


def test_a_bridge_that_does_not_run_yet_is_a_note_and_triton_a_warning(world: World) -> None:
    with Sandbox() as sandbox:
        done = triton_bridge("check", "--json", **world.environment(sandbox, "nv_cpu_utilization"))

    found = {one["place"]: one["severity"] for one in json.loads(done.stdout)["findings"]}
    assert (found[f"target {JOB} {JOB}"], found[f"target triton {world.triton}"]) == ("note", "warning")


def test_a_cycle_without_triton_is_what_it_was(world: World) -> None:
    """It was asked for, and was not there: a scrape that fails is a sample of ``up`` too, with or without a bridge."""
    with Sandbox() as sandbox:
        done = triton_bridge("once", **world.environment(sandbox, "nv_cpu_utilization"))

    assert done.returncode == 0, done.stderr
    assert "nothing to send of nv_cpu_utilization" in done.stderr
    assert "scraped nothing" not in done.stderr


def test_both_targets_have_the_same_times(world: World) -> None:
    client = Prometheus(world.prometheus.url)
    targets = {(one.job, one.instance): (one.scrape_interval, one.scrape_timeout) for one in client.targets()}
    client.close()

    assert targets == {("triton", world.triton): (1.0, 1.0), (JOB, JOB): (1.0, 1.0)}


# -- while it runs ---------------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """A bridge that sends its own metrics: what arrived, and what it says of itself at one moment."""

    rows: list[dict[str, Any]]
    metrics: str
    status: dict[str, Any]
    check: dict[str, Any]
    states: dict[str, float]
    log: str


@pytest.fixture(scope="module")
def seen(world: World) -> Seen:
    with Sandbox() as sandbox:
        given = world.environment(sandbox, *SELECTION)
        with Daemon(world.folder / "bridge.log", **given) as daemon:
            world.prometheus.aim([world.triton], "1s", bridge=daemon.url.removeprefix("http://"))
            daemon.wait_for("cycle ")

            def sent() -> set[str]:
                return {row["name"] for row in sandbox.rows()}

            wanted = {entry.name for entry in load(PRESET).entries}
            stack.wait(lambda: wanted <= sent(), "not all own metrics arrive", world.prometheus)
            daemon.wait_for("settled", times=daemon.log.count("settled") + 2)
            states = {labels["state"]: value for labels, value in world.prometheus.query("triton_bridge_state")}
            check = json.loads(triton_bridge("check", "--json", **given).stdout)
            status = json.loads(stack.get(f"{daemon.url}/status.json"))
            return Seen(sandbox.rows(), stack.get(f"{daemon.url}/metrics"), status, check, states, daemon.log)


def test_all_of_the_preset_arrives(seen: Seen) -> None:
    arrived = {row["name"] for row in seen.rows}

    assert arrived == {entry.name for entry in load(PRESET).entries} | {"up"}


def test_it_delivers_though_triton_is_down(seen: Seen) -> None:
    assert seen.status["state"] == "delivering"
    assert seen.states == {state.value: float(state is State.DELIVERING) for state in State}


def test_the_bridge_counts_itself_to_the_unit(seen: Seen, world: World) -> None:
    """The rows add up to what the raw samples gained up to the newest of them."""
    rows = [row for row in seen.rows if row["name"] == "triton_bridge_points_total"]
    gained = sum(row["valueSum"] for row in rows if row["customDimensions"]["outcome"] == "accepted")
    newest = datetime.fromisoformat(max(row["timestamp"] for row in rows).replace("Z", "+00:00")).timestamp()
    asked = 'triton_bridge_points_total{outcome="accepted"}[5m]'
    [series] = world.prometheus.api("query", query=asked, time=newest)["result"]

    (_, first), (_, last) = series["values"][0], series["values"][-1]
    assert gained == float(last) - float(first) > 0


def test_triton_and_the_bridge_stay_apart_in_azure(seen: Seen) -> None:
    """Of loopback targets the address is left out: both would be the same row."""
    newest = max(row["timestamp"] for row in seen.rows)
    ups = [
        (row["customDimensions"], row["value"])
        for row in seen.rows
        if (row["name"], row["timestamp"]) == ("up", newest)
    ]

    assert sorted(ups, key=str) == sorted([({}, 0.0), ({"instance": JOB, "job": JOB}, 1.0)], key=str)
    assert [one for one in seen.check["findings"] if "told apart" in one["problem"]] == []


def test_a_running_bridge_is_no_finding(seen: Seen, world: World) -> None:
    warnings = [one["place"] for one in seen.check["findings"] if one["severity"] != "note"]

    assert warnings == [f"target triton {world.triton}"]
    assert [one for one in seen.check["findings"] if JOB in one["place"]] == []


def test_the_start_up_log_tells_of_triton_and_not_of_itself(seen: Seen, world: World) -> None:
    """What Prometheus knows of this target then is of the time before."""
    assert re.findall(r"daemon: target (\S+ \S+):", seen.log) == [f"triton {world.triton}"]


def test_prometheus_own_linter_has_nothing_to_say(seen: Seen, prometheus_folder: Path) -> None:
    command = [prometheus_folder / "promtool", "check", "metrics"]

    done = subprocess.run(command, input=seen.metrics, check=False, capture_output=True, text=True)

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
