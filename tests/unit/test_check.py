"""Every finding of a check, each on a Prometheus that gives cause for it."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.check import check_endpoint, check_prometheus, check_selection, findings
from bridge.errors import Finding, PrometheusError, Severity
from bridge.prometheus import Prometheus
from bridge.selection import parse
from bridge.settings import Settings, load
from tests.scripted.prometheus import Reply, ScriptedPrometheus

T = 1_795_000_020.0
KEY = "11111111-2222-3333-4444-555555555555"
TRY = "try it in Prometheus' own page"


class Checked(ScriptedPrometheus):
    """Knows the questions of a check as well: rules, any targets, and counts."""

    def __init__(self) -> None:
        super().__init__(lambda: T)
        self.rules: list[dict[str, str]] = []
        self.targets = [self.target()]

    def target(self, interval: str = "15s", health: str = "up", error: str = "") -> dict[str, Any]:
        labels = {"job": "triton", "instance": "triton-0:8002"}
        return {
            "labels": labels,
            "scrapeInterval": interval,
            "scrapeTimeout": "4s",
            "health": health,
            "lastError": error,
        }

    def rule(self, name: str, expr: str, health: str = "ok", error: str = "") -> None:
        self.rules.append({"name": name, "query": expr, "health": health, "lastError": error})

    def present(self, name: str, **labels: str) -> None:
        self.add(name, [(T, 1.0)], **labels)

    def reply(self, path: str, query: dict[str, str]) -> Reply:
        if path == "/api/v1/rules":
            return success({"groups": [{"interval": 15, "rules": self.rules}]})
        if path == "/api/v1/targets":
            return success({"activeTargets": self.targets})
        return super().reply(path, query)

    def _query(self, expr: str, at: float) -> Reply:
        if expr == 'count by (__name__) ({__name__!=""})':
            return counts(labels for labels, _ in self.series)
        if found := re.fullmatch(r"count( by \(__name__\) )?\((.*)\)", expr, re.DOTALL):
            status, body = super()._query(found[2].strip(), at)
            if status != 200:
                return status, body
            return counts((row["metric"] for row in json.loads(body)["data"]["result"]), by_name=bool(found[1]))
        if expr == '"hello"':
            return success({"resultType": "string", "result": [at, "hello"]})
        return super()._query(expr, at)


def success(data: object) -> Reply:
    return 200, json.dumps({"status": "success", "data": data}).encode()


def counts(found: Iterator[dict[str, str]], *, by_name: bool = True) -> Reply:
    numbers = Counter(labels.get("__name__", "") if by_name else "" for labels in found)
    rows = [
        {"metric": {"__name__": name} if by_name else {}, "value": [T, str(count)]} for name, count in numbers.items()
    ]
    return success({"resultType": "vector", "result": rows})


@pytest.fixture
def server() -> Iterator[Checked]:
    with Checked() as started:
        yield started


def settings(**environ: str) -> Settings:
    string = f"InstrumentationKey={KEY};IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com"
    return load({"APPLICATIONINSIGHTS_CONNECTION_STRING": string} | environ)


def check(server: Checked, *entries: object, clock: float = T, **environ: str) -> list[Finding]:
    """All findings but the note on volume."""
    return [finding for finding in everything(server, *entries, clock=clock, **environ) if finding.place != "volume"]


def everything(server: Checked, *entries: object, clock: float = T, **environ: str) -> list[Finding]:
    selection = parse(json.dumps({"customMetrics": entries or ["up"]}))
    if not entries:
        server.present("up")
    prometheus = Prometheus(server.url, timeout=5)
    try:
        return list(check_prometheus(settings(**environ), selection, prometheus, clock=lambda: clock))
    finally:
        prometheus.close()


def query(expr: str) -> dict[str, str]:
    return {"query": expr, "name": "q"}


PLACE = "metrics.json: customMetrics[0]"


def test_a_sound_selection_has_no_finding(server: Checked) -> None:
    assert check(server) == []


@pytest.mark.parametrize(("ahead", "words"), [(5, "5 s ahead of Prometheus'"), (-7, "7 s behind Prometheus'")])
def test_a_clock_that_differs_is_told_with_its_direction(server: Checked, ahead: float, words: str) -> None:
    assert check(server, clock=T + ahead) == [
        Finding("clock", f"this clock is {words}", "Prometheus' clock decides; keep both by NTP", Severity.WARNING)
    ]
    assert check(server, clock=T + ahead / 5) == []


def test_no_targets_are_a_warning(server: Checked) -> None:
    server.targets = []
    (found,) = check(server)

    assert (found.place, found.problem, found.severity) == ("targets", "Prometheus scrapes nothing", Severity.WARNING)


def test_a_target_that_is_down_is_told_with_its_error(server: Checked) -> None:
    server.targets = [server.target(health="down", error="connection refused"), server.target(health="unknown")]
    (found,) = check(server)

    assert (found.place, found.problem, found.severity) == (
        "target triton triton-0:8002",
        "is down: connection refused",
        Severity.WARNING,
    )


def test_a_rule_that_fails_is_told_with_its_error(server: Checked) -> None:
    server.rule("mine", "a + b", "err", "many-to-many")

    assert check(server) == [Finding("rule mine", "fails: many-to-many", "mend the rule file")]


@pytest.mark.parametrize("present", [False, True])
def test_a_rule_that_is_not_loaded_is_an_error_even_while_its_last_series_lives(server: Checked, present: bool) -> None:
    if present:
        server.present("nv_inference_count_irate")

    assert check(server, "nv_inference_count_irate") == [
        Finding(
            PLACE,
            "nv_inference_count_irate is recorded by a rule that this Prometheus has not loaded",
            "add prometheus/rules/triton.yml to its rule_files",
        )
    ]


def test_a_rule_that_is_loaded_and_has_no_series_yet_is_a_warning(server: Checked) -> None:
    server.rule("nv_inference_count_irate", "irate(nv_inference_count[1m])")

    assert check(server, "nv_inference_count_irate") == [
        Finding(
            PLACE,
            "Prometheus has no nv_inference_count_irate now",
            "it appears after two scrapes of its source",
            Severity.WARNING,
        )
    ]


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ("10s", "never holds two samples at a scrape interval of 30s, so it is always empty"),
        ("29s999ms", "never holds two samples at a scrape interval of 30s, so it is always empty"),
        ("30s", "does not always hold two samples at a scrape interval of 30s, so it is empty part of the time"),
        ("59s", "does not always hold two samples at a scrape interval of 30s, so it is empty part of the time"),
        ("1m", ""),
    ],
)
def test_a_window_needs_two_of_the_longest_scrapes(server: Checked, window: str, words: str) -> None:
    server.targets = [server.target("15s"), server.target("30s")]
    server.rule("mine", f'sum(irate(a{{b="("}}[{window}]))')
    expected = [Finding("rule mine", f"irate(…[{window}]) {words}", "use [2m]")] if words else []

    assert check(server) == expected


def test_a_query_is_held_to_the_same_windows(server: Checked) -> None:
    expr = "rate(up[10s])"
    server.expressions[expr] = [{"metric": {}, "value": [T, "1"]}]

    assert [(found.place, found.severity) for found in check(server, query(expr))] == [
        (f"{PLACE}.query", Severity.ERROR)
    ]


def test_the_window_of_a_subquery_has_samples_at_its_own_steps(server: Checked) -> None:
    expr = "rate(up[10s:1s])"
    server.expressions[expr] = [{"metric": {}, "value": [T, "1"]}]

    assert check(server, query(expr)) == []


@pytest.mark.parametrize("expr", ["rate(foo[5min])", "sum("])
def test_what_prometheus_refuses_is_told_in_its_own_words(server: Checked, expr: str) -> None:
    """A window that cannot be read too."""
    assert check(server, query(expr)) == [
        Finding(f"{PLACE}.query", f"Prometheus answered 400: 1:1: parse error: {expr}", TRY)
    ]


def test_a_query_for_a_string_is_a_finding_and_no_failure(server: Checked) -> None:
    assert check(server, query('"hello"')) == [Finding(f"{PLACE}.query", "the result is a string and no number", TRY)]


def test_a_query_without_series_is_a_warning(server: Checked) -> None:
    server.expressions["sum(nothing)"] = []

    assert check(server, query("sum(nothing)")) == [
        Finding(f"{PLACE}.query", "gives no series now", TRY, Severity.WARNING)
    ]


def test_an_unknown_name_is_told_its_nearest(server: Checked) -> None:
    server.present("my_gauges")
    (near,) = check(server, "my_gauge")
    (typo,) = check(server, "nv_inference_request_sucess")
    (far,) = check(server, "zzz")

    assert (near.problem, near.remedy, near.severity) == (
        "Prometheus has no my_gauge now",
        "nearest: my_gauges",
        Severity.WARNING,
    )
    assert typo.remedy.startswith("nearest: nv_inference_request_success, ")
    assert far.remedy == "triton-bridge catalog lists what can be chosen"


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("nv_cache_util", "Triton exposes it with --cache-config local, since release 22.04"),
        ("nv_cpu_utilization", "Triton exposes it by default, since release 22.09"),
    ],
)
def test_a_metric_of_triton_is_told_what_turns_it_on(server: Checked, name: str, remedy: str) -> None:
    assert check(server, name) == [Finding(PLACE, f"Prometheus has no {name} now", remedy, Severity.WARNING)]


def test_the_volume_is_that_of_every_entry(server: Checked) -> None:
    """A metric in two modes is sent twice; a query that is refused sends nothing."""
    for model in ("a", "b", "c"):
        server.present("nv_inference_count", model=model)
    server.present("my_gauge")
    server.expressions["sum by (x) (y) # note"] = [{"metric": {"x": x}, "value": [T, "1"]} for x in "12"]
    entries: list[object] = [
        {"metric": "nv_inference_count", "mode": "increase"},
        {"metric": "nv_inference_count", "mode": "rate", "name": "per_second"},
        "my_gauge",
        {"query": "sum by (x) (y) # note", "name": "mine"},
        {"query": "sum(", "name": "bad"},
    ]

    assert everything(server, *entries, BRIDGE_INTERVAL="60s")[-1] == Finding(
        "volume",
        "9 series make 12,960 points a day, about 0.17 GB a month billed, at 450 bytes a point",
        severity=Severity.NOTE,
    )


def test_the_volume_is_counted_by_prometheus(server: Checked) -> None:
    """No window of raw samples is fetched for it."""
    server.present("nv_inference_count")
    check(server, {"metric": "nv_inference_count", "mode": "increase"})

    assert server.asked == [
        "time()",
        "time()",
        'count by (__name__) ({__name__!=""})',
        'count by (__name__) ({__name__=~"nv_inference_count"})',
    ]


def test_match_narrows_what_is_counted(server: Checked) -> None:
    server.present("my_gauge")
    check(server, "my_gauge", BRIDGE_MATCH='job="triton"')

    assert server.asked[-1] == 'count by (__name__) ({__name__=~"my_gauge",job="triton"})'


def test_more_series_than_are_sent_are_an_error(server: Checked) -> None:
    for model in ("a", "b", "c"):
        server.present("my_gauge", model=model)

    assert check(server, "my_gauge", BRIDGE_MAX_SERIES="3") == []
    assert check(server, "my_gauge", BRIDGE_MAX_SERIES="2") == [
        Finding(
            "BRIDGE_MAX_SERIES",
            "3 series are selected, 2 are sent: the largest metrics are left out",
            "raise it, or select less",
        )
    ]


def test_a_counter_sent_as_accumulation_is_a_note() -> None:
    selection = parse(
        '{"customMetrics": ["nv_inference_count", {"metric": "nv_inference_exec_count", "mode": "rate"}]}'
    )

    assert list(check_selection(selection)) == [
        Finding(
            PLACE,
            "nv_inference_count is a counter, sent as the accumulation since Triton's start",
            'exact increments: {"metric": "nv_inference_count", "mode": "increase"}',
            Severity.NOTE,
        )
    ]


def test_a_prometheus_that_is_away_is_a_failure_and_the_rest_is_told(server: Checked) -> None:
    server.failures = [(503, b"")]
    selection = parse('{"customMetrics": ["nv_inference_count"]}')
    prometheus = Prometheus(server.url)
    found = list(findings(load({"BRIDGE_SANDBOX": "true"}), selection, prometheus))
    prometheus.close()

    assert [(f.place, f.severity) for f in found] == [(PLACE, Severity.NOTE), (server.url, Severity.FAILURE)]
    assert found[-1].remedy == "is BRIDGE_PROMETHEUS_URL right?"


def test_a_prometheus_that_goes_away_at_a_query_is_no_finding_on_the_query(server: Checked) -> None:
    with pytest.raises(PrometheusError, match="Read timed out"):
        _check_with_a_silent_query(server)


def _check_with_a_silent_query(server: Checked) -> None:
    prometheus = Prometheus(server.url)
    ask = prometheus.ask

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        away = Prometheus(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        prometheus.ask = lambda expr, at: away.ask(expr, at) if expr == "slow" else ask(expr, at)  # type: ignore[method-assign]
        try:
            selection = parse('{"customMetrics": [{"query": "slow", "name": "q"}]}')
            list(check_prometheus(settings(), selection, prometheus, clock=lambda: T))
        finally:
            away.close()
            prometheus.close()


def test_without_a_prometheus_only_the_files_are_checked() -> None:
    selection = parse('{"customMetrics": ["nv_inference_count"]}')

    assert [found.severity for found in findings(settings(), selection, None)] == [Severity.NOTE]


def test_an_endpoint_that_answers_is_no_finding_and_gets_no_post() -> None:
    """Any answer will do, such as a 404."""
    with ScriptedPrometheus(lambda: T) as endpoint:
        asked: list[str] = []
        endpoint.reply = lambda path, _: (asked.append(path), (404, b""))[1]  # type: ignore[method-assign]
        endpoint._server.RequestHandlerClass.do_POST = lambda _: asked.append("a post")  # type: ignore[attr-defined]
        string = f"InstrumentationKey={KEY};IngestionEndpoint={endpoint.url}"

        assert list(check_endpoint(load({"APPLICATIONINSIGHTS_CONNECTION_STRING": string}))) == []
        assert asked == ["/"]


def test_an_endpoint_that_cannot_be_reached_is_a_failure() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        string = f"InstrumentationKey={KEY};IngestionEndpoint={endpoint}"
        (found,) = check_endpoint(load({"APPLICATIONINSIGHTS_CONNECTION_STRING": string}))

    assert (found.place.rstrip("/"), found.problem, found.severity) == (
        endpoint,
        "the ingestion endpoint cannot be reached (ConnectionError)",
        Severity.FAILURE,
    )
