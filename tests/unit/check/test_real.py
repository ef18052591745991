"""What a check finds in a real Prometheus: in names, types, labels and rows as that one has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridge.check
from bridge.check import Result
from bridge.errors import Finding, Severity
from bridge.prometheus import Prometheus
from bridge.selection import parse
from bridge.settings import load
from examples import stack
from tests.unit.check import world

pytestmark = pytest.mark.live

NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR
FILE = "metrics.json: customMetrics"
ELSEWHERE = "http://prometheus.monitoring:9090"


@pytest.fixture(scope="module")
def server(prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.PrometheusServer]:
    with world.prometheus(tmp_path_factory.mktemp("prometheus"), prometheus_folder) as running:
        yield running


Check = Callable[..., Result]


@pytest.fixture
def check(server: stack.PrometheusServer, tmp_path: Path) -> Iterator[Check]:
    """``check(entry, …, labels={…}, BRIDGE_X="…")``, with cycles of two seconds."""
    prometheus = Prometheus(server.url)

    def run(*entries: object, labels: Any = None, **environ: str) -> Result:
        file = {"customMetrics": entries} | ({"labels": labels} if labels else {})
        given = {"BRIDGE_SANDBOX": "1", "BRIDGE_INTERVAL": "2s", "BRIDGE_SETTLE_DELAY": "0s", **environ}
        return bridge.check.check(load(given), parse(json.dumps(file)), prometheus, tmp_path)

    yield run
    prometheus.close()


def told(result: Result) -> list[Finding]:
    """All but the note on volume."""
    return [finding for finding in result.findings if finding.place != "volume"]


def is_3(server: stack.PrometheusServer) -> bool:
    return bool(server.api("status/buildinfo")["version"].startswith("3"))


def test_a_sound_selection_has_no_finding(check: Check) -> None:
    sound = [
        "nv_inference_pending_request_count",
        {"metric": "nv_inference_count", "mode": "increase"},
        {"metric": "nv_cache_num_hits", "mode": "increase"},
        {"metric": "nv_inference_request_summary_us_sum", "mode": "rate"},
        {"query": "sum(nv_inference_count)", "name": "all"},
        "vllm:requests",
        {"metric": "side_queue", "by": ["instance"], "aggregate": "sum"},
    ]

    assert told(check(*sound)) == []


# -- kinds and names -------------------------------------------------------------------------------------------------


def test_types_are_what_the_targets_say(check: Check) -> None:
    gauge, summary = {"metric": "side_queue", "mode": "rate", "by": []}, {"metric": "a_summary", "mode": "histogram"}
    found = told(check("vllm:prompt_tokens_total", gauge, summary))

    assert [(one.place, one.severity) for one in found] == [
        (f"{FILE}[2]", ERROR),
        (f"{FILE}[1]", WARNING),
        (f"{FILE}[0]", NOTE),
    ]


def test_names_that_nothing_exposes_are_told_with_the_nearest(check: Check) -> None:
    found = check("side_queu", "side_que??_*", {"metric": "vllm:request_param_n", "mode": "histogram"}, "zzz").findings

    assert [(one.problem, one.remedy) for one in found if one.severity is WARNING] == [
        ("Prometheus has no side_queu now", "nearest: side_queue"),
        ("no metric that Prometheus has now fits side_que??_*", "nearest: side_queue"),
        ("Prometheus has no vllm:request_param_n_bucket now", "nearest: vllm:request_params_n"),
        ("Prometheus has no zzz now", "triton-bridge catalog lists what can be chosen"),
    ]


def test_a_glob_that_only_another_triton_would_fit_is_told_what_turns_it_on(check: Check) -> None:
    (found,) = told(check({"metric": "nv_gpu_power_*", "mode": "stats"}))

    assert (found.problem, found.remedy) == (
        "no metric that Prometheus has now fits nv_gpu_power_*",
        "Triton exposes nv_gpu_power_usage, nv_gpu_power_limit with a GPU, not in MIG mode",
    )


def test_a_histogram_without_observations_is_a_note(check: Check) -> None:
    (found,) = told(check({"metric": "vllm:request_params_n", "mode": "histogram"}))

    assert (found.place, found.severity) == (f"{FILE}[0]", NOTE)
    assert found.problem.startswith("vllm:request_params_n had no observation in the interval up to ")


def test_a_glob_of_which_another_sends_all_is_told_which(check: Check) -> None:
    found = told(check("side_q*", "side_*ue"))

    assert [one for one in found if one.place == f"{FILE}[1]"] == [
        Finding(
            f"{FILE}[1]",
            "all that fits it is sent by customMetrics[0] already",
            "take it away, or put it before the other glob",
            WARNING,
        )
    ]


def test_matchers_that_fit_nothing_are_told_with_what_is_there(check: Check) -> None:
    entry = {"metric": "nv_inference_pending_request_count", "match": 'model="bret",pod=~"triton-.*"'}

    assert told(check(entry)) == [
        Finding(
            f"{FILE}[0].match",
            'model="bret",pod=~"triton-.*" fits no series of nv_inference_pending_request_count',
            "model is 'bert'",
            WARNING,
        )
    ]


def test_a_bridge_match_that_fits_nothing_is_one_finding(check: Check) -> None:
    assert told(check("vllm:requests", "wide", BRIDGE_MATCH='job="tritn"')) == [
        Finding("BRIDGE_MATCH", 'job="tritn" fits no series of vllm:requests, wide', "job is 'vllm'", WARNING)
    ]


@pytest.mark.parametrize(
    ("query", "problem", "severity"),
    [
        ("sum(", "parse error", ERROR),
        ("up[1m]", "gives a range of samples", ERROR),
        ("up > 1", "gives no series now", WARNING),
        ("rate(up[1s])", "does not always hold two samples at a scrape interval of 1s", ERROR),
    ],
)
def test_a_query_that_fails_or_is_empty_is_told(check: Check, query: str, problem: str, severity: Severity) -> None:
    found = told(check({"query": query, "name": "q"}))

    assert [(one.place, one.severity) for one in found if problem in one.problem] == [(f"{FILE}[0].query", severity)]


# -- names and dimensions --------------------------------------------------------------------------------------------


def test_a_name_that_is_too_long_is_told(check: Check) -> None:
    (found,) = told(check("long_*"))

    assert found.problem == f"{world.LONG[:60]}…: Azure's documents allow 150 characters in a name, not 155"


def test_names_and_labels_that_only_prometheus_3_has_are_told(server: stack.PrometheusServer, check: Check) -> None:
    if not is_3(server):
        pytest.skip("this Prometheus has no such names")
    odd, reserved = told(check("http*", "reserved"))

    assert odd.problem == "KEDA cannot ask for 'http/requests é': it puts a name into a URL as it is"
    assert reserved.problem.startswith("_MS.AggregationIntervalMs: labels that begin with _MS. are")
    (better,) = [json.loads(odd.remedy[odd.remedy.index("{") :])]
    assert told(check(better)) == []


def test_labels_that_are_too_long_are_told(check: Check) -> None:
    dropped, cut = told(check("labelled"))

    assert dropped.problem == f"{'l' * 60}…: a label of more than 150 characters is not sent"
    assert cut.problem == "value: values of more than 8192 characters are cut there"


def test_more_than_ten_dimensions_are_told_with_what_becomes_of_them(check: Check) -> None:
    (found,) = told(check("wide"))

    assert found.problem == (
        "wide has 11 dimensions (b, c, d, e, f, g, h, i, instance, j, job): rows of customMetrics keep all of them; "
        "Azure Monitor's custom metrics store, where alerts by dimension look, takes 10 a metric"
    )
    assert told(check({"metric": "wide", "without": ["b"], "aggregate": "sum"})) == []


def test_what_another_entry_sends_is_told_of_that_one_alone(check: Check) -> None:
    found = told(check({"metric": "wide", "by": ["b"], "aggregate": "sum"}, "wid?"))

    assert [one.problem for one in found] == ["all that fits it is sent by customMetrics[0] already"]


def test_a_change_of_labels_that_a_series_prevents_is_told(check: Check) -> None:
    labels = {"rename": {"gpu_uuid": "gpu"}, "add": {"team": "mine"}}

    assert [(one.place, one.problem) for one in told(check("a_gauge", labels=labels))] == [
        (
            f"{FILE}[0].labels",
            "rename of 'gpu_uuid' to 'gpu' is not done for 1 of 2 rows, which have a label of that name already",
        ),
        (f"{FILE}[0].labels", "add of 'team' is not done for 1 of 2 rows, which have a label of that name already"),
    ]
    assert told(check("a_gauge", labels={"rename": {"kind": "sort"}, "add": {"site": "here"}})) == []


def test_a_label_that_no_series_has_is_told(check: Check) -> None:
    """But one to drop or to rename may come and go, as gpu_uuid does, if none is near."""
    by = {"metric": "side_total", "mode": "increase", "by": ["sid"]}
    without = {"metric": "nv_inference_count", "mode": "increase", "without": ["modle", "gpu_uuid"]}
    found = told(check(by, without, labels={"rename": {"namespac": "n", "tenant": "t"}}))

    assert [(one.place, one.problem, one.remedy) for one in found] == [
        (f"{FILE}[0].by", "no series has a label 'sid'", "they have instance, job"),
        (f"{FILE}[1].without", "no series has a label 'modle'", "did you mean 'model'?"),
        ("metrics.json: labels.rename", "no row has a label 'namespac'", "did you mean 'namespace'?"),
    ]


# -- rows ------------------------------------------------------------------------------------------------------------


def test_rows_that_nothing_tells_apart_are_told_by_what_their_series_differ_in(check: Check) -> None:
    loopback, one_name, query = told(
        check("side_q*", "vllm?requests", {"query": '{__name__=~"vllm.requests"}', "name": "q"})
    )

    assert loopback.problem == (
        "2 rows of side_queue cannot be told apart: they have the same dimensions, and their series differ in "
        "instance (127.0.0.1:1, 127.0.0.1:2)"
    )
    assert "target file" in loopback.remedy
    assert one_name.problem == (
        "2 rows of vllm_requests cannot be told apart: they have the same dimensions, and their series differ in "
        "__name__ (vllm:requests, vllm_requests)"
    )
    assert "'name'" in one_name.remedy
    assert (query.place, query.remedy) == (
        f"{FILE}[2]",
        "aggregate in the query, or give each series a label by label_replace()",
    )


def test_rows_of_quantiles_collide_with_their_histogram(check: Check) -> None:
    """In one finding: they have its dimensions."""
    found = told(check({"metric": "side_seconds", "mode": "histogram", "quantiles": [0.5]}))

    assert [one.problem.partition(" cannot")[0] for one in found] == ["4 rows of side_seconds, side_seconds_p50"]


def test_what_is_over_the_limit_is_named_and_not_priced(check: Check) -> None:
    result = check("nv_inference_pending_request_count", "a_gauge", "vllm:requests", BRIDGE_MAX_SERIES="3")
    (found,) = [one for one in told(result) if one.place == "BRIDGE_MAX_SERIES"]

    assert (found.problem, found.severity) == (
        "5 series are selected, 3 are sent: a_gauge (2) would be left out",
        ERROR,
    )
    assert result.bill
    assert set(result.bill.metrics) == {"nv_inference_pending_request_count", "vllm_requests"}


def test_the_cost_is_that_of_the_rows_that_would_be_sent(check: Check) -> None:
    """NaN costs nothing; a metric in two forms costs twice."""
    result = check(
        {"metric": "nv_inference_count", "mode": "increase"},
        {"metric": "nv_inference_count", "mode": "rate", "name": "per_second", "by": ["model"]},
        {"metric": "nv_inference_request_summary_us"},
    )
    costs = result.bill

    assert costs
    assert {name: cost.rows for name, cost in costs.metrics.items()} == {
        "nv_inference_count": 4,
        "per_second": 2,
        "nv_inference_request_summary_us": 2,
    }
    assert (costs.total.rows, costs.total.points) == (8, 8 * 43_200)
    assert 200 < costs.total.row_bytes < 500
    assert costs.total.gigabytes == pytest.approx(costs.total.points * 30 * costs.total.row_bytes / 1e9, rel=0.01)
    (volume,) = [one for one in result.findings if one.place == "volume"]
    assert volume.problem == (
        f"8 rows a cycle make 345,600 points a day, about {costs.total.gigabytes:.2f} GB a month billed; "
        "what is NaN or infinite now (2) comes on top once it is a number"
    )
    assert f"{costs.total.row_bytes} bytes a row" in volume.remedy


def test_a_longer_label_costs_its_bytes(check: Check) -> None:
    rows = [check({"metric": "wide", "labels": {"add": {"x": "y" * length}}}).bill for length in (1, 101)]

    assert [bill.total.row_bytes - rows[0].total.row_bytes for bill in rows if bill and rows[0]] == [0, 100]


# -- one bridge of several -------------------------------------------------------------------------------------------


def test_several_sidecars_at_one_prometheus_are_told_the_matchers_of_one(check: Check) -> None:
    entry = "nv_inference_pending_request_count"

    assert told(check(entry, BRIDGE_PROMETHEUS_URL=ELSEWHERE)) == [
        Finding(
            "BRIDGE_MATCH",
            'nv_inference_pending_request_count comes from 2 targets (pod="triton-0", pod="triton-1"): where each has a '
            "bridge beside it, every bridge posts the rows of all",
            "one bridge for all is right; else each needs its own: "
            """BRIDGE_MATCH='job="triton",namespace="ml",pod="triton-0"'""",
            WARNING,
        )
    ]
    assert told(check(entry, BRIDGE_PROMETHEUS_URL=ELSEWHERE, BRIDGE_MATCH='pod="triton-0"')) == []


def test_a_match_that_leaves_several_targets_is_a_note(check: Check) -> None:
    own = {"metric": "nv_inference_pending_request_count", "match": 'job="triton"'}
    (by_entry,) = told(check(own, BRIDGE_PROMETHEUS_URL=ELSEWHERE))
    (by_setting,) = told(check(own["metric"], BRIDGE_PROMETHEUS_URL=ELSEWHERE, BRIDGE_MATCH='job="triton"'))

    assert (by_entry.severity, by_setting.severity) == (NOTE, NOTE)
    assert 'although BRIDGE_MATCH is job="triton"' in by_setting.problem


def test_exporters_beside_one_another_are_no_sidecars(check: Check) -> None:
    """Each metric comes from one target."""
    entries = ["vllm:requests", {"metric": "nv_inference_pending_request_count", "match": 'pod="triton-0"'}]

    assert told(check(*entries, BRIDGE_PROMETHEUS_URL=ELSEWHERE)) == []


def test_a_query_that_bridge_match_does_not_narrow_is_a_note(check: Check) -> None:
    given = {"BRIDGE_PROMETHEUS_URL": ELSEWHERE, "BRIDGE_MATCH": 'pod="triton-0"'}
    written = {"query": 'nv_cache_num_hits{pod="triton-0"}', "name": "written"}

    assert [(one.place, one.severity) for one in told(check({"query": "sum(up)", "name": "q"}, written, **given))] == [
        (f"{FILE}[0].query", NOTE)
    ]
