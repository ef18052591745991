"""``triton-bridge explain`` beside a bridge: the same envelopes as are sent, the account's verdicts, and nothing changed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.selection import load
from tests.flow.conftest import KEY, Bridge, MakeBridge, T
from tests.scripted.program import triton_bridge

NAMES = 'count by (__name__) ({__name__!=""})'
GAIN = {"metric": "c", "mode": "increase", "labels": {"rename": {"model": "which"}}}
TOO_LONG = "Field 'name' on type 'MetricData' is too long"

Explain = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def bridge(make_bridge: MakeBridge, tmp_path: Path) -> Iterator[Bridge]:
    """A bridge at work, with the lock of its state folder: ``c`` has counted 105 → 107 → 3 (a reset) for one model of two."""
    made = make_bridge("m", GAIN, folder=tmp_path / "bridge", target="triton-0:8002")
    made.prometheus.add("c", [(T - 60, 105), (T - 45, 107), (T - 30, 3)], model="bert", version="1")
    made.prometheus.add("c", [(T - 60, 1), (T - 45, 1), (T, 4)], model="resnet", version="1")
    made.prometheus.add("m", [(T - 15, 7)])
    made.prometheus.expressions[NAMES] = [{"metric": {"__name__": name}, "value": [T, "1"]} for name in ("c", "m")]
    made.clock.now = T + 10
    return made


@pytest.fixture
def explain(bridge: Bridge, tmp_path: Path) -> Explain:
    """The program, with the settings of that bridge."""

    def run(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
        return triton_bridge(
            *(arguments if arguments[0] == "once" else ("explain", *arguments)),
            **{
                "BRIDGE_STATE_DIR": str(tmp_path),
                "BRIDGE_PROMETHEUS_URL": bridge.prometheus.url,
                "BRIDGE_METRICS_FILE": str(bridge.file),
                **given,
            },
        )

    return run


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_the_way_of_a_metric_can_be_read_from_question_to_verdict(bridge: Bridge, explain: Explain) -> None:
    bridge.run()
    done = explain("c")

    assert (done.returncode, done.stderr) == (0, "")
    for expected in (
        "c: the 60 s up to 2026-11-18T11:07:00Z",
        "metrics.json: customMetrics[1]\n  sends increase of c as c\n",
        "PromQL, asked for 2026-11-18 11:07:00 UTC (time=1795000020)",
        '    {__name__=~"c"}[1m31s]\n',
        "    target triton triton-0:8002: 4 scrapes in the interval\n",
        "    + model → which  renamed by labels.rename: bert, resnet\n",
        '    {job="triton", instance="triton-0:8002", model="bert", version="1"}\n      105 | 107 → 3 (reset) = 2 + 3 = 5\n',
        "    c = 5  job=triton instance=triton-0:8002 which=bert version=1\n",
        "  cycle 2026-11-18T11:07:00Z: it is settled (3 accepted, of all metrics)\n",
    ):
        assert expected in done.stdout.replace(".0 ", " ").replace(".0\n", "\n")


def test_the_envelopes_are_those_that_once_would_post(bridge: Bridge, explain: Explain) -> None:
    """By ``once --dry-run``, which knows no account either."""
    dry = [json.loads(line) for line in explain("once", "--dry-run").stdout.splitlines()]
    told = document(explain("c", "--json"))

    (sent,) = told["sent"]
    assert sent["envelopes"] == [one for one in dry if one["data"]["baseData"]["metrics"][0]["name"] == "c"]
    assert (sent["envelope_count"], sent["series_count"]) == (2, 2)


def test_a_key_of_azure_is_not_shown(explain: Explain) -> None:
    done = explain("c", "--all", INSTRUMENTATION_KEY=KEY.replace("1", "a"))

    assert '"iKey": "aaaa…"' in done.stdout
    assert "aaaaaaaa" not in done.stdout + done.stderr


def test_a_value_is_explained_with_the_samples_behind_it(bridge: Bridge, explain: Explain) -> None:
    """And with those that a cycle does not ask for."""
    (sent,) = document(explain("m", "--json"))["sent"]

    assert [(one["what"], one["beside"]) for one in sent["questions"]][1:] == [
        ("values at T", False),
        ("raw samples", True),
    ]
    assert sent["series"][0]["parts"][0]["samples"] == [[T - 15, "7"]]
    assert sent["series"][0]["values"] == {"m": 7.0}


def test_a_rejected_point_is_made_again_beside_the_services_reason(bridge: Bridge, explain: Explain) -> None:
    """By the selection of its time, although metrics.json is another one now, and the metric not selected any more."""
    bridge.sandbox.script([{"items": {"1": {"status": 400, "message": TOO_LONG}}}])
    bridge.run()
    bridge.file.write_text('{"customMetrics": ["m"]}')

    (point,) = document(explain("c", "--rejected", "--json"))["verdict"]["refused"]
    (rejection,) = [one for _, one in bridge.backlog.account.rejections]
    assert (point["status"], point["reason"], point["dimensions"]) == (400, TOO_LONG, dict(rejection.dimensions))
    data = point["envelope"]["data"]["baseData"]
    assert (data["properties"], point["envelope"]["time"]) == (point["dimensions"], rejection.time)
    assert data["metrics"] == [
        {"name": "c", "count": 1, "value": {"bert": 5.0, "resnet": 3.0}[data["properties"]["which"]]}
    ]
    assert "of its time" in point["note"]
    assert f"400 {TOO_LONG}" in explain("c", "--rejected").stdout
    assert "--rejected shows 1 rejected points of it" in explain("c").stderr


def test_where_the_selection_of_its_time_is_forgotten_the_present_one_stands_in(
    bridge: Bridge, explain: Explain
) -> None:
    bridge.sandbox.script([{"items": {"0": {"status": 400, "message": TOO_LONG}}}])
    bridge.run()
    bridge.file.write_text(json.dumps({"customMetrics": ["m", GAIN, "another"]}))
    bridge.cycle.in_force(load(bridge.file), T + 10)

    (point,) = document(explain("m", "--rejected", "--json"))["verdict"]["refused"]
    assert point["envelope"]["data"]["baseData"]["metrics"][0]["value"] == 7.0
    assert "that of its time is not known any more" in point["note"]


def test_rejected_points_are_told_beside_the_live_ones(bridge: Bridge, explain: Explain) -> None:
    bridge.sandbox.script([{"items": {"0": {"status": 400, "message": TOO_LONG}}}])
    bridge.run()
    of_m, of_c = explain("m").stdout, explain("c").stdout

    assert "1 rejected, of all metrics; of this metric 1 rejected" in of_m
    assert TOO_LONG in of_m
    assert "none of the rejected ones that are known by name is of this metric" in " ".join(of_c.split())
    assert TOO_LONG not in of_c


def test_a_point_that_prometheus_forgot_keeps_its_reason(bridge: Bridge, explain: Explain) -> None:
    bridge.sandbox.script([{"items": {"0": {"status": 400, "message": TOO_LONG}}}])
    bridge.run()
    bridge.prometheus.series.clear()
    done = explain("m", "--rejected")

    assert done.returncode == 0
    assert TOO_LONG in done.stdout
    assert "Prometheus gives no such point any more" in done.stdout


def test_without_prometheus_the_verdicts_stand_and_the_exit_code_is_1(bridge: Bridge, explain: Explain) -> None:
    bridge.sandbox.script([{"items": {"0": {"status": 400, "message": TOO_LONG}}}])
    bridge.run()
    done = explain("m", BRIDGE_PROMETHEUS_URL="http://127.0.0.1:1")

    assert done.returncode == 1
    assert TOO_LONG in done.stdout
    assert done.stderr.startswith("error: Prometheus cannot be reached")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("c",), ("c", "--rejected"), ("m", "--at", "2026-11-18T11:07:00Z", "--json")])
def test_nothing_in_the_state_folder_is_changed(
    bridge: Bridge, explain: Explain, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Beside the bridge that has the lock, whatever is damaged."""
    bridge.run()
    (tmp_path / "bridge" / "witness.json").write_text("damaged")

    def state() -> dict[str, tuple[bytes, int]]:
        found = {path.name: path for path in (tmp_path / "bridge").iterdir()}
        return {name: (path.read_bytes(), path.stat().st_mtime_ns) for name, path in found.items()}

    before = state()

    assert explain(*arguments).returncode == 0
    assert state() == before


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("mm",), "mm: is not selected in metrics.json — nearest: m; triton-bridge catalog lists what can be chosen"),
        (
            ("nv_inference_count",),
            'nv_inference_count: is not selected in metrics.json — to send it, add {"metric": "nv_inference_count", "mode": "increase"}',
        ),
        (("?", "--json"), "?: is a glob: one metric can be explained at a time — one of c, m"),
        (("nv_*",), "nv_*: is a glob: one metric can be explained at a time — triton-bridge catalog lists"),
        (("c", "--at", "noon"), "--at: 'noon' is not a time — "),
        (("c", "--at", "2026-11-18T11:09:00Z"), "--at: "),
    ],
)
def test_what_is_not_selected_or_no_time_is_one_line_and_exit_code_2(
    explain: Explain, arguments: tuple[str, ...], line: str
) -> None:
    done = explain(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {line}")
    assert len(done.stderr.splitlines()) == 1


def test_the_selection_is_called_as_its_file_is(bridge: Bridge, explain: Explain, tmp_path: Path) -> None:
    other = bridge.file.rename(tmp_path / "other.json")

    assert "mm: is not selected in other.json" in explain("mm", BRIDGE_METRICS_FILE=str(other)).stderr


def test_the_first_cycle_after_a_restart_is_explained_as_it_was(bridge: Bridge, explain: Explain) -> None:
    """The interval of the cycle began at the end of the run before, off the grid."""
    bridge.prometheus.scrape([T + 15, T + 30, T + 45, T + 60])
    bridge.prometheus.add("c", [(T + n, 10 + n) for n in (0, 15, 30, 45, 60)], model="new")
    bridge.run()
    bridge.clock.now = T + 32
    bridge.cycle.close(T, None, 5.0)
    bridge.clock.now = T + 66
    bridge.run(T + 60)

    told = document(explain("c", "--json"))
    new = {one["labels"]["model"]: one["values"] for one in told["sent"][0]["series"]}["new"]
    assert (told["start"], told["time"], new) == (T + 30, T + 60, {"c": 30.0})
    at_the_end = document(explain("c", "--json", "--at", "2026-11-18T11:07:30Z"))
    assert (at_the_end["start"], at_the_end["time"]) == (T, T + 30)


def test_what_keeps_points_from_being_sent_is_remarked(bridge: Bridge, explain: Explain) -> None:
    """An entry that goes before, rows that cannot be told apart, and too many series."""
    bridge.file.write_text(json.dumps({"customMetrics": [{"metric": "d*", "mode": "increase"}, "d"]}))
    for port in ("8002", "8003"):
        bridge.prometheus.add("d", [(T - 15, 1)], instance=f"127.0.0.1:{port}")
    bridge.prometheus.expressions[NAMES] = [{"metric": {"__name__": "d"}, "value": [T, "2"]}]

    named, glob = document(explain("d", "--json", BRIDGE_MAX_SERIES="2"))["sent"]
    assert (named["place"], named["instead"], named["envelope_count"]) == ("metrics.json: customMetrics[1]", "", 2)
    assert "2 rows share their dimensions" in named["remarks"][0]
    assert glob["instead"] == "d is sent by metrics.json: customMetrics[1], which goes before"
    assert glob["envelope_count"] == 0
    left_out, _ = document(explain("d", "--json", BRIDGE_MAX_SERIES="1"))["sent"]
    assert (left_out["envelope_count"], "it is left out, whole" in left_out["remarks"][0]) == (0, True)


def test_of_many_series_the_first_shown_are_one_of_each_kind(bridge: Bridge, explain: Explain) -> None:
    for number in range(8):
        late = T - 90 if number == 6 else T - 15
        bridge.prometheus.add("m", [(late, number if number != 5 else float("nan"))], model=f"{number}")
    bridge.prometheus.lookback = 300.0
    done = explain("m")

    assert "  series: 9, 2 of them without a row" in done.stdout
    assert [line.split(":")[0].strip() for line in done.stdout.splitlines() if "no row:" in line] == [
        "no row",
        "no row",
    ]
    assert "counted as not_finite and never sent" in done.stdout
    assert "is 90 s older than T, and what is older than 1m gives no row" in done.stdout
    assert "… and 6 more (--all shows them)" in done.stdout
    assert "{" + 'job="triton", instance="triton-0:8002", model="7"' + "}" in explain("m", "--all").stdout


def test_where_nothing_was_scraped_there_is_no_data(bridge: Bridge, explain: Explain) -> None:
    bridge.prometheus.series = [one for one in bridge.prometheus.series if one[0]["__name__"] != "up"]
    done = explain("c")

    assert done.returncode == 0
    assert "no data: Prometheus scraped nothing in the interval" in done.stdout
