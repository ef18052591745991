"""The program as a user meets it: commands, exit codes, one line a finding, no traceback, no secret."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.sandbox import Sandbox
from examples.stack import wait
from tests.scripted.program import Daemon, triton_bridge
from tests.scripted.prometheus import ScriptedPrometheus

KEY = "1a2b3c4d-1111-2222-3333-444455556666"
INTERVAL = 1.0


@pytest.fixture
def prometheus() -> Iterator[ScriptedPrometheus]:
    """A Prometheus on real time whose ``m`` was scraped each second of the last and the next minute."""
    with ScriptedPrometheus(time.time) as scripted:
        scripted.scrape_interval, scripted.scrape_timeout = "1s", "500ms"
        times = [float(int(time.time()) + offset) for offset in range(-60, 60)]
        scripted.scrape(times)
        scripted.add("m", [(moment, 7.0) for moment in times], model="bert")
        yield scripted


@pytest.fixture
def selection(tmp_path: Path) -> str:
    file = tmp_path / "metrics.json"
    file.write_text('{"customMetrics": ["m"]}')
    return str(file)


def test_without_a_credential_there_are_three_ways_and_the_docker_form() -> None:
    done = triton_bridge("run")

    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    for remedy in (
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        "INSTRUMENTATION_KEY",
        "BRIDGE_SANDBOX",
        "--env INSTRUMENTATION_KEY=<key>",
    ):
        assert remedy in line


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"INSTRUMENTATION_KEY": ""}, "no resource is named to post to"),
        ({"INSTRUMENTATION_KEY": "not-a-guid"}, "INSTRUMENTATION_KEY: "),
        ({KEY: ""}, "NAME=VALUE"),
        ({"APPLICATIONINSIGHTS_CONNECTION_STRING": "IngestionEndpoint=https://x"}, "InstrumentationKey"),
        ({"INSTRUMENTATION_KEY": KEY, "BRIDGE_INTERVAL": "1 minute"}, "BRIDGE_INTERVAL: '1 minute' is not a duration"),
    ],
)
def test_a_wrong_credential_or_setting_is_named_and_not_shown(environment: dict[str, str], said: str) -> None:
    done = triton_bridge("run", **environment)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stderr


def test_all_findings_of_a_selection_are_told_with_their_places(tmp_path: Path) -> None:
    file = tmp_path / "metrics.json"
    file.write_text('{"customMetrics": ["a b", {"metric": "c", "moed": "rate"}, {"metric": "d", "mode": "delta"}]}')

    done = triton_bridge("check", "--offline", "--metrics-file", str(file))

    assert done.returncode == 2
    assert [line.split(" ")[:3] for line in done.stderr.splitlines()] == [
        ["error:", "metrics.json:", "customMetrics[0]:"],
        ["error:", "metrics.json:", "customMetrics[1].moed:"],
        ["error:", "metrics.json:", "customMetrics[2].mode:"],
    ]


def test_the_shipped_selection_passes_the_check_of_the_files_alone() -> None:
    done = triton_bridge("check", "--offline", "--metrics-file", "config/metrics.json")

    assert done.returncode == 0
    assert "3 entries selected" in done.stdout
    assert '{"metric": "nv_inference_request_success", "mode": "increase"}' in done.stderr


def test_version_and_help_need_no_settings() -> None:
    assert triton_bridge("--version").stdout.startswith("triton-bridge ")
    assert "[env: BRIDGE_INTERVAL]" in " ".join(triton_bridge("run", "--help").stdout.split())
    assert triton_bridge("run", "--no-such-option").returncode == 2


def test_once_posts_one_cycle(prometheus: ScriptedPrometheus, selection: str) -> None:
    with Sandbox() as sandbox:
        done = triton_bridge(
            "once",
            APPLICATIONINSIGHTS_CONNECTION_STRING=sandbox.connection_string + ";",
            BRIDGE_PROMETHEUS_URL=prometheus.url,
            BRIDGE_METRICS_FILE=selection,
            BRIDGE_INTERVAL="10s",
            BRIDGE_SETTLE_DELAY="0s",
        )

        assert (done.returncode, [row["value"] for row in sandbox.rows()]) == (0, [7.0]), done.stderr


def test_once_that_cannot_deliver_says_a_gap_and_exits_with_1(prometheus: ScriptedPrometheus, selection: str) -> None:
    with Sandbox(scriptable=True) as sandbox:
        sandbox.script([{"status": 503, "times": 1000}])
        done = triton_bridge(
            "once",
            APPLICATIONINSIGHTS_CONNECTION_STRING=sandbox.connection_string,
            BRIDGE_PROMETHEUS_URL=prometheus.url,
            BRIDGE_METRICS_FILE=selection,
            BRIDGE_INTERVAL="2s",
            BRIDGE_SETTLE_DELAY="0s",
        )

    assert done.returncode == 1
    assert "gap at " in done.stderr
    assert "1 points were not delivered" in done.stderr


def dry_run(prometheus: ScriptedPrometheus, selection: str) -> subprocess.CompletedProcess[str]:
    return triton_bridge(
        "once",
        "--dry-run",
        BRIDGE_PROMETHEUS_URL=prometheus.url,
        BRIDGE_METRICS_FILE=selection,
        BRIDGE_INTERVAL="10s",
        BRIDGE_SETTLE_DELAY="0s",
    )


def test_a_dry_run_needs_no_credential_and_writes_envelopes(prometheus: ScriptedPrometheus, selection: str) -> None:
    done = dry_run(prometheus, selection)

    (envelope,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert envelope["data"]["baseData"]["metrics"][0]["value"] == 7.0
    assert envelope["tags"]["ai.cloud.role"] == "triton"
    assert done.stderr.endswith("dry run: 1 points read, 1 written; nothing was posted\n")


def test_a_dry_run_says_why_there_are_fewer_lines_than_points(prometheus: ScriptedPrometheus, selection: str) -> None:
    times = [time for time, _ in prometheus.series[-1][1]]
    prometheus.add("m", [(moment, math.nan) for moment in times], model="resnet")
    done = dry_run(prometheus, selection)

    assert len(done.stdout.splitlines()) == 1
    assert "dry run: 2 points read, 1 not finite, 1 written; nothing was posted\n" in done.stderr


def test_an_unreachable_prometheus_is_a_failure_with_one_line() -> None:
    done = triton_bridge(
        "check",
        BRIDGE_SANDBOX="1",
        BRIDGE_PROMETHEUS_URL="http://127.0.0.1:9",
        BRIDGE_METRICS_FILE="config/metrics.json",
    )

    assert done.returncode == 1
    (failure,) = [line for line in done.stderr.splitlines() if line.startswith("failure")]
    assert failure.startswith("failure: http://127.0.0.1:9: Prometheus cannot be reached: [Errno 111]")
    assert failure.endswith("look at BRIDGE_PROMETHEUS_URL")


def test_catalog_lists_what_can_be_chosen_and_the_flag_that_turns_it_on(prometheus: ScriptedPrometheus) -> None:
    done = triton_bridge("catalog", "--json", BRIDGE_PROMETHEUS_URL="http://127.0.0.1:9")

    lines = {line["name"]: line for line in json.loads(done.stdout)}
    assert done.returncode == 0
    assert "summary_latencies=true" in lines["nv_inference_request_summary_us"]["advice"]
    assert lines["nv_inference_count_irate"]["present"] is None


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(scriptable=True) as running:
        yield running


@pytest.fixture
def daemon(tmp_path: Path, prometheus: ScriptedPrometheus, selection: str, sandbox: Sandbox) -> Iterator[Daemon]:
    with Daemon(
        tmp_path / "log",
        APPLICATIONINSIGHTS_CONNECTION_STRING=sandbox.connection_string,
        BRIDGE_PROMETHEUS_URL=prometheus.url,
        BRIDGE_METRICS_FILE=selection,
        BRIDGE_INTERVAL="1s",
        BRIDGE_SETTLE_DELAY="0s",
        BRIDGE_PROMETHEUS_HEADERS="X-Scope=very-secret",
    ) as running:
        yield running


def test_the_daemon_runs_on_the_grid_and_tells_one_line_a_cycle(daemon: Daemon, sandbox: Sandbox) -> None:
    daemon.wait_for("settled, 1 metric, 1 point (1 accepted)", times=3)
    assert " bytes in 1 post, " in daemon.log

    times = sorted({row["timestamp"] for row in sandbox.rows()})
    seconds = [int(moment[17:19]) for moment in times[:3]]
    assert [(b - a) % 60 for a, b in pairwise(seconds)] == [1, 1]
    assert len(times) == len(sandbox.rows())


def test_start_up_tells_version_settings_selection_and_what_it_found_of_prometheus(daemon: Daemon) -> None:
    daemon.wait_for("settled")

    for line in (
        "triton-bridge 0.",
        "BRIDGE_INTERVAL=1s (environment)",
        "BRIDGE_MAX_SERIES=20000 (default)",
        "m (value)",
        "status page at http://127.0.0.1:",
    ):
        assert line in daemon.log
    assert "very-secret" not in daemon.log


def test_status_shows_the_running_bridge_and_its_exit_code_is_whether_all_is_well(daemon: Daemon) -> None:
    daemon.wait_for("settled")
    port = daemon.url.rpartition(":")[2]

    shown = triton_bridge("status", BRIDGE_LISTEN=f"0.0.0.0:{port}")
    document = triton_bridge("status", "--json", "--url", daemon.url)

    assert (shown.returncode, shown.stderr, document.returncode) == (0, "", 0)
    assert shown.stdout.startswith("✓ delivering since ")
    assert json.loads(document.stdout)["words"] == "delivering"


def test_status_of_a_bridge_that_does_not_deliver_is_1(daemon: Daemon, sandbox: Sandbox) -> None:
    daemon.wait_for("settled")
    sandbox.script([{"status": 429, "retry_after": 600}])
    daemon.wait_for("→ throttled")

    shown = triton_bridge("status", "--url", daemon.url)

    assert (shown.returncode, shown.stderr) == (1, "")
    assert shown.stdout.startswith("! throttled since ")


def test_status_without_a_bridge_says_what_to_do_and_what_was_kept(daemon: Daemon) -> None:
    daemon.wait_for("settled")
    daemon.process.terminate()
    assert daemon.process.wait(15) == 0

    done = triton_bridge("status", BRIDGE_LISTEN="127.0.0.1:9", BRIDGE_STATE_DIR=daemon.state)

    kept, error = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(
        rf"note: {daemon.state}/bridge: \d+ points were accepted since .*; (nothing|\d+ cycles) waits?", kept
    )
    assert error.startswith("error: no triton-bridge answers at http://127.0.0.1:9/status.json ")


def test_status_once_and_again_as_json_is_wrong_usage() -> None:
    done = triton_bridge("status", "--watch", "--json")

    assert (done.returncode, done.stderr) == (2, "error: --json: is given beside --watch — give one of both\n")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(daemon: Daemon, signum: int) -> None:
    daemon.wait_for("settled")
    daemon.process.send_signal(signum)

    assert daemon.process.wait(10) == 0
    assert "finishing the cycle under way" in daemon.log
    assert "Traceback" not in daemon.log


@pytest.fixture
def hanging(tmp_path: Path, prometheus: ScriptedPrometheus, selection: str, sandbox: Sandbox) -> Iterator[Daemon]:
    """A daemon in the middle of a post that is not answered."""
    sandbox.script([{"hang": 30, "times": 100}])
    with Daemon(
        tmp_path / "log",
        APPLICATIONINSIGHTS_CONNECTION_STRING=sandbox.connection_string,
        BRIDGE_PROMETHEUS_URL=prometheus.url,
        BRIDGE_METRICS_FILE=selection,
        BRIDGE_INTERVAL="20s",
        BRIDGE_SETTLE_DELAY="0s",
    ) as running:
        wait(lambda: sandbox.replies_left < 100, "nothing was posted")
        yield running


def test_a_second_signal_ends_it_at_once(hanging: Daemon) -> None:
    hanging.process.send_signal(signal.SIGINT)
    hanging.wait_for("finishing the cycle under way")
    time.sleep(0.5)  # what comes at once counts as the same signal
    hanging.process.send_signal(signal.SIGINT)

    assert hanging.process.wait(5) == 130
    assert "Traceback" not in hanging.log


def test_a_post_that_hangs_does_not_hold_up_the_end(hanging: Daemon) -> None:
    """``docker stop`` grants ten seconds."""
    hanging.process.send_signal(signal.SIGTERM)

    assert hanging.process.wait(10) == 1
    assert "did not end within 10 s: the next start goes on with it" in hanging.log


def test_the_sandbox_runs_on_its_own() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bridge", "sandbox", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert "Sandbox at http://127.0.0.1:" in process.stdout.readline()
        assert process.stdout.readline().startswith("APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=")
        process.terminate()
        assert process.wait(10) == 0
