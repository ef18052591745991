"""The recording rules: the names that the project promises, and rules that are right by Prometheus' own test tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from examples.stack import ROOT
from tools import targets

SHIPPED = ROOT / "prometheus"

# The list of metrics that the project set out with; the first three kinds each have a NAME_irate there.
COUNTS = ["request_success", "request_failure", "count", "exec_count"]
PARTS = ["request", "queue", "compute_input", "compute_infer", "compute_output"]
LISTED = [
    *(f"nv_inference_{name}" for name in COUNTS),
    *(f"nv_inference_{part}_duration_us" for part in PARTS),
    *(f"nv_inference_{part}_summary_us" for part in PARTS),
]


@pytest.fixture(scope="module")
def promtool(prometheus_folder: Path) -> Path:
    return prometheus_folder / "promtool"


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    """A copy of what is shipped, to be changed."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "prometheus"))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def rules(file: str = "triton.yml") -> str:
    return (SHIPPED / "rules" / file).read_text()


@pytest.mark.parametrize("name", [*LISTED, "nv_energy_consumption"])
def test_every_listed_name_has_its_twin(name: str) -> None:
    assert f"- record: {name}_irate\n" in rules()


@pytest.mark.parametrize(("file", "shortest"), [("triton.yml", 2 * targets.LONGEST_MS), ("derived.yml", 90_000)])
def test_every_window_holds_two_scrapes_of_the_longest_interval_or_a_minute_whole(file: str, shortest: int) -> None:
    """A window of a minute and the longest interval holds two scrapes that are a minute apart, or more."""
    windows = re.findall(r"\[(\w+)\]", rules(file))

    assert len(windows) == len(re.findall(r"\brate\(|irate\(", rules(file)))
    assert min(map(targets.milliseconds, windows)) >= shortest
    assert shortest >= 2 * targets.LONGEST_MS


def test_prometheus_accepts_the_shipped_configuration(promtool: Path) -> None:
    done = run(promtool, "check", "config", SHIPPED / "prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(re.findall(r"(\d+) rules found", done.stdout), key=int) == ["8", "20"]


def test_prometheus_refuses_a_broken_rule(promtool: Path, configuration: Path) -> None:
    (configuration / "rules" / "triton.yml").write_text(rules().replace("irate(", "irate((", 1))

    assert run(promtool, "check", "config", configuration / "prometheus.yml").returncode != 0


def test_rules_and_targets_of_the_user_are_taken(promtool: Path, configuration: Path) -> None:
    for folder in ("rules", "targets"):
        (configuration / "extra" / folder).mkdir(parents=True)
    (configuration / "extra" / "rules" / "own.yml").write_text(
        "groups: [{name: own, rules: [{record: own_rate, expr: 'rate(own_total[5m])'}]}]"
    )
    (configuration / "extra" / "targets" / "own.json").write_text('[{"targets": ["127.0.0.1:1"]}]')

    done = run(promtool, "check", "config", configuration / "prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rule files found" in done.stdout


def test_the_rule_tests_pass(promtool: Path) -> None:
    done = run(promtool, "test", "rules", *(SHIPPED / "tests").glob("*.yml"))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param("[1m]", "[10s]", id="window shorter than a scrape interval"),
        pytest.param("[1m]", "[45s]", id="window shorter than two scrapes of 30 s"),
        pytest.param("irate(", "rate(", id="mean over the window"),
        pytest.param("irate(", "idelta(", id="negative at a reset"),
        pytest.param(" and on (job, instance) up == 1", "", id="dead Triton keeps its rate"),
        pytest.param("up == 1", "up", id="guard that lets everything through"),
        pytest.param("on (job, instance)", "on (instance)", id="guard by instance alone"),
        pytest.param("on (job, instance)", "on (job)", id="guard by job alone"),
        pytest.param("summary_us_sum", "summary_us", id="rate of a quantile"),
        pytest.param(
            "irate(nv_inference_queue_duration_us[", "irate(nv_inference_request_duration_us[", id="wrong source"
        ),
    ],
)
def test_the_rule_tests_notice(promtool: Path, configuration: Path, right: str, wrong: str) -> None:
    assert right in rules()
    (configuration / "rules" / "triton.yml").write_text(rules().replace(right, wrong))

    assert run(promtool, "test", "rules", *(configuration / "tests").glob("*.yml")).returncode != 0


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        pytest.param("[90s]", "[45s]", id="window shorter than two scrapes of 30 s"),
        pytest.param("[90s]", "[1m]", id="window that leaves requests out"),
        pytest.param("rate(", "irate(", id="between the last two scrapes alone"),
        pytest.param("rate(", "delta(", id="negative at a reset"),
        pytest.param("            and on (job, instance) up == 1\n", "", id="dead Triton keeps its means"),
        pytest.param("          and on (job, instance) up == 1\n", "", id="dead Triton keeps its load"),
        pytest.param("up == 1", "up", id="guard that lets everything through"),
        pytest.param("on (job, instance)", "on (instance)", id="guard by instance alone"),
        pytest.param("on (job, instance)", "on (job)", id="guard by job alone"),
        pytest.param(" > 0)", ")", id="NaN where nothing was counted"),
        pytest.param("              > 0\n", "", id="NaN where nothing failed or was computed"),
        pytest.param("or 0 *", "and 0 *", id="no load where nothing was computed"),
        pytest.param("without (gpu_uuid)", "without ()", id="a value for each set of series"),
        pytest.param("sum without (gpu_uuid)", "max without (gpu_uuid)", id="one of two sets of series"),
        pytest.param("sum without (gpu_uuid)", "sum by (job, instance, model)", id="versions and labels merged"),
        pytest.param("(gpu_uuid, reason)", "(gpu_uuid)", id="a ratio for each reason"),
        pytest.param("compute_output_duration_us[", "compute_input_duration_us[", id="wrong source"),
    ],
)
def test_the_tests_of_derived_rules_notice(promtool: Path, configuration: Path, right: str, wrong: str) -> None:
    assert right in rules("derived.yml")
    (configuration / "rules" / "derived.yml").write_text(rules("derived.yml").replace(right, wrong))

    assert run(promtool, "test", "rules", configuration / "tests" / "derived.yml").returncode != 0


def test_the_default_targets_are_what_no_setting_gives() -> None:
    shipped = {path.stem: json.loads(path.read_text()) for path in (SHIPPED / "targets").iterdir()}

    assert shipped == {"triton": targets.document(), "bridge": targets.bridge()}


def test_the_scrape_time_out_is_that_of_the_configuration() -> None:
    found = re.findall(r"scrape_timeout: (\S+)", (SHIPPED / "prometheus.yml").read_text())

    assert list(map(targets.milliseconds, found)) == [targets.TIMEOUT_MS]


def test_a_sample_of_the_longest_interval_is_never_stale() -> None:
    lookback = re.findall(r"^--query\.lookback-delta=(\S+)$", (SHIPPED / "flags").read_text(), re.MULTILINE)

    assert [duration for duration in map(targets.milliseconds, lookback) if duration > targets.LONGEST_MS] != []
