"""The alerts of Prometheus on the bridge: about metrics that it has, helpful, and right by Prometheus' own test tool."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.instruments import Instruments
from bridge.points import Outcome, Settlement
from bridge.settings import describe
from bridge.states import State
from examples.stack import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
TEXT = (FOLDER / "bridge-alerts.yml").read_text(encoding="utf-8")
(GROUP,) = yaml.safe_load(TEXT)["groups"]
ALERTS = {rule["alert"]: rule for rule in GROUP["rules"]}


@pytest.fixture(scope="module")
def promtool(prometheus_folder: Path) -> Path:
    return prometheus_folder / "promtool"


@pytest.fixture(scope="module")
def own_promtool(prometheis: dict[str, Path | str]) -> Path:
    return Path(prometheis["own"]) / "promtool"


def run_tests(promtool: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [promtool, "test", "rules", *sorted((folder / "tests").glob("*.yml"))]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_tests_of_the_alerts_pass(promtool: Path) -> None:
    done = run_tests(promtool, FOLDER)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of the folder, to be changed."""
    return Path(shutil.copytree(FOLDER, tmp_path / "prometheus"))


@pytest.mark.parametrize(
    "wrong", ["vector(1) < 0", 'vector(1) or {__name__=~"up|triton_bridge_.+"}'], ids=["never", "always"]
)
@pytest.mark.parametrize("alert", ALERTS)
def test_the_tests_notice_an_alert_that_fires(alert: str, wrong: str, own_promtool: Path, changed: Path) -> None:
    rules = [rule | {"expr": wrong} if rule["alert"] == alert else rule for rule in GROUP["rules"]]
    (changed / "bridge-alerts.yml").write_text(yaml.safe_dump({"groups": [GROUP | {"rules": rules}]}), encoding="utf-8")

    done = run_tests(own_promtool, changed)

    assert done.returncode == 1
    assert "exp:" in done.stdout + done.stderr  # it was evaluated, and gave something else


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param(" or (up == 0 and on (job, instance) last_over_time(", " or (up == 0 and (", id="any target"),
        pytest.param('up{job="triton-bridge"} == 0 or ', "", id="one that was never seen"),
        pytest.param(
            "changes(triton_bridge_last_delivered_timestamp_seconds[5m]) == 0\n          and ",
            "",
            id="by the age alone",
        ),
        pytest.param(
            "\n          and time() - triton_bridge_last_delivered_timestamp_seconds > 2 * triton_bridge_interval_seconds",
            "",
            id="long intervals",
        ),
        pytest.param(
            "\n          and time() - process_start_time_seconds > 2 * triton_bridge_interval_seconds",
            "",
            id="the first intervals",
        ),
        pytest.param('increase(triton_bridge_cycles_total{outcome="expired"}', 'increase(no{x="y"}', id="never read"),
        pytest.param("[3d]", "[1d]", id="a day is enough"),
        pytest.param("_timestamp_seconds > 0) > 6", "_timestamp_seconds) > 6", id="an empty backlog is old"),
        pytest.param("_timestamp_seconds > 0) > 0.85", "_timestamp_seconds) > 0.85", id="an empty backlog expires"),
        pytest.param("> 6 * 3600", "> 6 * 360", id="old too soon"),
        pytest.param("> 0.85 * triton", "> triton", id="expires too late"),
        pytest.param("0.85 * triton_bridge_backfill_limit_seconds", "40 * 3600", id="whatever the limit is"),
        pytest.param('fault"} == 1', 'fault"} == 0', id="any state but those"),
        pytest.param("misconfigured|quota", "misconfigured|throttled|quota", id="a state that ends by itself"),
        pytest.param(
            'increase(triton_bridge_points_total{outcome="rejected"}[15m]) > 0',
            'triton_bridge_points_total{outcome="rejected"} > 0',
            id="for ever",
        ),
        pytest.param('outcome="rejected"', 'outcome=~"rejected|not_finite"', id="what is no loss"),
    ],
)
def test_the_tests_notice(right: str, wrong: str, own_promtool: Path, changed: Path) -> None:
    assert right in TEXT
    (changed / "bridge-alerts.yml").write_text(TEXT.replace(right, wrong), encoding="utf-8")

    assert run_tests(own_promtool, changed).returncode == 1


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_is_wrong_where_and_what_to_do(alert: str) -> None:
    rule: dict[str, Any] = ALERTS[alert]

    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
    assert len(rule["annotations"]["description"]) > 80


def test_the_alerts_are_on_metrics_and_outcomes_that_there_are() -> None:
    registry = Instruments().registry
    exposed = {sample.name for family in registry.collect() for sample in family.samples}
    expressions = " ".join(rule["expr"] for rule in ALERTS.values())

    (states,) = re.findall(r'state=~"([\w|]+)"', expressions)
    assert set(re.findall(r"triton_bridge_\w+", expressions)) <= exposed
    assert set(states.split("|")) <= {state.value for state in State}
    assert set(re.findall(r'points_total{outcome="(\w+)"', expressions)) <= {one.value for one in Outcome}
    assert set(re.findall(r'cycles_total{outcome="(\w+)"', expressions)) <= {one.value for one in Settlement}


def test_a_loss_of_each_kind_is_an_alert() -> None:
    """What is not finite is no loss: an idle Triton's summaries are NaN."""
    expressions = " ".join(rule["expr"] for rule in ALERTS.values())

    assert set(re.findall(r'outcome="(\w+)"', expressions)) == {"rejected", "expired", "left_out"}


def test_the_backlog_is_told_of_before_it_expires() -> None:
    (limit,) = [setting.default for setting in describe() if setting.field == "backfill_limit"]
    (old,) = [int(found) for found in re.findall(r"> (\d+) \* 3600", TEXT)]
    (share,) = [float(found) for found in re.findall(r"> (\S+) \* triton_bridge_backfill_limit_seconds", TEXT)]

    assert old < share * int(limit.removesuffix("h")) < int(limit.removesuffix("h")) - 6


def test_a_state_is_an_alert_or_ends_by_itself() -> None:
    """A new state must be thought of here."""
    (states,) = re.findall(r'state=~"([\w|]+)"', TEXT)
    healthy = {State.DELIVERING, State.CATCHING_UP}
    passing = {State.STARTING, State.THROTTLED, State.UNREACHABLE, State.PROMETHEUS_UNREACHABLE}
    of_triton = {State.NO_DATA, State.NOTHING_TO_SEND}

    assert {State(state) for state in states.split("|")} == set(State) - healthy - passing - of_triton
