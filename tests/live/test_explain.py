"""``explain`` beside real Prometheus: its questions can be asked by hand, and what it says of a cycle is what arrived."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox import Sandbox
from bridge.times import utc
from examples import stack
from tests.scripted.program import triton_bridge
from tests.scripted.serving import Answer, serving

pytestmark = pytest.mark.live

SELECTION = [
    {
        "metric": "nv_inference_request_success",
        "mode": "increase",
        "without": ["version"],
        "labels": {"add": {"a": "b"}},
    },
    {"metric": "nv_gpu_*"},
    {"metric": "latency", "mode": "histogram", "quantiles": [0.5]},
    {"metric": "nv_cpu_utilization", "mode": "stats", "name": "utilization"},
]
REASON = "Field 'a' is not liked"


def exposition(scrape: int) -> str:
    """Of a server that counts on, and begins anew at each tenth scrape."""
    counted = scrape % 10
    return f"""\
nv_inference_request_success{{model="bert",version="1"}} {7 * counted}
nv_gpu_utilization{{gpu_uuid="GPU-1"}} {scrape % 3}
nv_cpu_utilization {scrape % 4}
nv_gpu_power_usage{{gpu_uuid="GPU-1"}} NaN
latency_bucket{{le="1"}} {counted}
latency_bucket{{le="+Inf"}} {3 * counted}
latency_sum {6 * counted}
latency_count {3 * counted}
"""


@pytest.fixture(scope="module")
def prometheus(prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.PrometheusServer]:
    """It has scraped for more than an interval."""
    scrapes = count()

    with (
        serving(lambda _: Answer(exposition(next(scrapes)).encode())) as target,
        stack.prometheus(
            tmp_path_factory.mktemp("prometheus"),
            targets=[target],
            scrape_interval="1s",
            folder=prometheus_folder,
        ) as server,
    ):
        stack.wait(lambda: server.query("nv_gpu_utilization offset 12s") != [], "no scrape", server)
        yield server


@pytest.fixture(scope="module")
def settled(
    prometheus: stack.PrometheusServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Settings, and the rows that arrived by them in one cycle; the first point of it was rejected."""
    folder = tmp_path_factory.mktemp("bridge")
    (folder / "metrics.json").write_text(json.dumps({"customMetrics": SELECTION}))
    with Sandbox(scriptable=True) as sandbox:
        settings = {
            "APPLICATIONINSIGHTS_CONNECTION_STRING": sandbox.connection_string,
            "BRIDGE_PROMETHEUS_URL": prometheus.url,
            "BRIDGE_METRICS_FILE": str(folder / "metrics.json"),
            "BRIDGE_STATE_DIR": str(folder),
            "BRIDGE_INTERVAL": "5s",
            "BRIDGE_SETTLE_DELAY": "1s",
        }
        sandbox.script([{"items": {"0": {"status": 400, "message": REASON}}}])
        done = triton_bridge("once", **settings)
        rows = sandbox.rows()
    assert (done.returncode, REASON in done.stderr, len(rows)) == (1, True, 4), done.stderr
    return settings, rows


def told(settings: dict[str, str], *arguments: str) -> dict[str, Any]:
    done = triton_bridge("explain", *arguments, "--json", **settings)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("name", ["utilization", "nv_gpu_utilization", "latency", "latency_p50"])
def test_what_is_told_of_a_cycle_is_what_arrived(
    settled: tuple[dict[str, str], list[dict[str, Any]]], name: str
) -> None:
    settings, rows = settled
    (row,) = [one for one in rows if one["name"] == name]
    document = told(settings, name, "--at", row["timestamp"])

    # The Prometheus name of a metric stands for all that is made of it.
    (envelope,) = [
        one
        for sent in document["sent"]
        for one in sent["envelopes"]
        if one["data"]["baseData"]["metrics"][0]["name"] == name
    ]
    (metric,) = envelope["data"]["baseData"]["metrics"]
    assert (metric["value"], metric["count"]) == (row["valueSum"], row["valueCount"])
    assert envelope["data"]["baseData"]["properties"] == row["customDimensions"]
    assert document["verdict"]["said"].endswith("none of the rejected ones that are known by name is of this metric)")


@pytest.mark.parametrize("name", ["nv_inference_request_success", "nv_gpu_utilization", "latency"])
def test_its_questions_can_be_asked_by_hand(
    prometheus: stack.PrometheusServer, settled: tuple[dict[str, str], list[dict[str, Any]]], name: str
) -> None:
    settings, _ = settled
    document = told(settings, name)

    for sent in document["sent"]:
        answers = [prometheus.api("query", query=one["expr"], time=document["time"]) for one in sent["questions"]]
        assert [
            one["what"] for one, answer in zip(sent["questions"], answers, strict=True) if not answer["result"]
        ] == []
        shown = {tuple(sample) for series in sent["series"] for part in series["parts"] for sample in part["samples"]}
        given = {
            tuple(sample)
            for answer in answers
            for series in answer["result"]
            for sample in series.get("values", ())
            if series["metric"]["__name__"] != "up" and document["start"] < sample[0] <= document["time"]
        }
        assert shown == given
        assert shown


def test_a_gain_adds_up_to_the_rejected_point(settled: tuple[dict[str, str], list[dict[str, Any]]]) -> None:
    settings, rows = settled
    (point,) = told(settings, "nv_inference_request_success", "--rejected")["verdict"]["refused"]
    document = told(settings, "nv_inference_request_success", "--at", utc(point["time"]))

    (series,) = document["sent"][0]["series"]
    assert point["reason"] == REASON
    assert point["dimensions"] == {"model": "bert", "a": "b"}
    assert point["envelope"] == document["sent"][0]["envelopes"][0]
    assert point["envelope"]["data"]["baseData"]["metrics"][0]["value"] == sum(map(float, series["steps"])) > 0
    assert {row["timestamp"][:19] for row in rows} == {point["envelope"]["time"][:19]}


def test_a_value_that_is_no_number_is_told_as_such(settled: tuple[dict[str, str], list[dict[str, Any]]]) -> None:
    settings, _ = settled
    (sent,) = told(settings, "nv_gpu_power_usage")["sent"]

    assert (sent["envelope_count"], sent["without_row"]) == (0, 1)
    assert sent["series"][0]["why"].startswith("not finite")
    assert sent["how"]["glob"] == "nv_gpu_*"
