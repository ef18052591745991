"""What a check finds where Prometheus says what a real one would not say on demand; the rest is in ``test_real``."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridge.check
from bridge.check.rules import _WINDOW
from bridge.errors import Finding, Severity
from bridge.prometheus import Prometheus
from bridge.selection import parse
from bridge.settings import load
from tests.scripted.prometheus import Reply, ScriptedPrometheus

T = 1_795_000_020.0
NOW = T + 30
KEY = "11111111-2222-3333-4444-555555555555"
TRY = "try it in Prometheus' own page"


class Checked(ScriptedPrometheus):
    """Knows the questions of a check as well: rules, any targets, and counts."""

    def __init__(self) -> None:
        super().__init__(lambda: NOW)
        self.rules: list[dict[str, str]] = []
        self.targets = [self.target()]

    def target(self, interval: str = "15s", health: str = "up", error: str = "", **labels: str) -> dict[str, Any]:
        labels = {"job": "triton", "instance": "triton-0:8002", **labels}
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
        if path == "/api/v1/metadata":
            return success({})
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


Check = Callable[..., list[Finding]]
UP = {"__name__": "up", "job": "triton", "instance": "triton-0:8002"}


@pytest.fixture
def check(server: Checked, tmp_path: Path) -> Check:
    """``check(entry, …, BRIDGE_X="…")``: all findings but the note on volume. Without entries, of a sound selection."""

    def findings(*entries: object, clock: float = NOW, folder: Path = tmp_path, **environ: str) -> list[Finding]:
        selection = parse(json.dumps({"customMetrics": entries or ["up"]}))
        prometheus = Prometheus(server.url, timeout=0.5)
        given = {"BRIDGE_SANDBOX": "1", **environ}
        if not server.series or server.series[0][0]["__name__"] != "up":
            server.series.insert(0, (UP, [(T - 60 + 5 * n, 1.0) for n in range(18)]))
        try:
            result = bridge.check.check(load(given), selection, prometheus, folder, clock=lambda: clock)
        finally:
            prometheus.close()
        return [finding for finding in result.findings if finding.place != "volume"]

    return findings


def query(expr: str) -> dict[str, str]:
    return {"query": expr, "name": "q"}


PLACE = "metrics.json: customMetrics[0]"


def test_a_sound_selection_has_no_finding(server: Checked, check: Check) -> None:
    assert check() == []


@pytest.mark.parametrize(("ahead", "words"), [(5, "5 s ahead of Prometheus'"), (-7, "7 s behind Prometheus'")])
def test_a_clock_that_differs_is_told_with_its_direction(
    server: Checked, check: Check, ahead: float, words: str
) -> None:
    assert check(clock=NOW + ahead) == [
        Finding("clock", f"this clock is {words}", "Prometheus' clock decides; keep both by NTP", Severity.WARNING)
    ]
    assert check(clock=NOW + ahead / 5) == []


def test_no_targets_are_a_warning(server: Checked, check: Check) -> None:
    server.targets = []
    (found,) = check()

    assert (found.place, found.problem, found.severity) == ("targets", "Prometheus scrapes nothing", Severity.WARNING)


def test_a_target_that_is_down_is_told_with_its_error(server: Checked, check: Check) -> None:
    server.targets = [server.target(health="down", error="connection refused"), server.target(health="unknown")]
    (found,) = check()

    assert (found.place, found.problem, found.severity) == (
        "target triton triton-0:8002",
        "is down: connection refused",
        Severity.WARNING,
    )


def test_a_bridge_that_is_down_is_no_reason_to_worry(server: Checked, check: Check) -> None:
    """Before it runs for the first time, and beside ``once``, there is none to scrape."""
    own = {"job": "triton-bridge", "instance": "triton-bridge"}
    server.targets.append(server.target(health="down", error="connection refused", **own))
    server.present("m")
    server.add("up", [(T - 5, 0.0)], **own)

    assert check("m", "triton_bridge_backlog_cycles") == [
        Finding(
            f"{PLACE.replace('0', '1')}",
            "Prometheus has no triton_bridge_backlog_cycles now",
            "a metric of the bridge itself: Prometheus has it once it has scraped one that runs",
            Severity.WARNING,
        ),
        Finding(
            "target triton-bridge triton-bridge",
            "is down: connection refused",
            "right while no triton-bridge runs: nothing but its own metrics comes from there",
            Severity.NOTE,
        ),
    ]


@pytest.mark.parametrize(
    ("scraped", "expected"),
    [
        ("1s", []),
        ("10s", []),
        ("15s", ["is scraped every 15s, so that most cycles of 10s find nothing new of it"]),
    ],
)
def test_cycles_that_outrun_a_targets_own_scrapes_are_a_warning(
    server: Checked, check: Check, scraped: str, expected: list[str]
) -> None:
    """Whatever BRIDGE_SCRAPE_INTERVAL says: that is of the bundled Prometheus alone."""
    server.targets = [server.target(interval=scraped)]

    assert [found.problem for found in check(BRIDGE_INTERVAL="10s")] == expected


def test_a_rule_that_fails_is_told_with_its_error(server: Checked, check: Check) -> None:
    server.rule("mine", "a + b", "err", "many-to-many")

    assert check() == [Finding("rule mine", "fails: many-to-many", "mend the rule file")]


def test_of_a_prometheus_elsewhere_only_the_rules_that_are_selected_matter(server: Checked, check: Check) -> None:
    """Others' rules are others' to mend."""
    server.rule("theirs", "a + b", "err", "many-to-many")
    server.rule("wanted", "a + b", "err", "many-to-many")
    found = check("wanted", BRIDGE_PROMETHEUS_URL="http://prometheus.monitoring:9090")

    assert [one.place for one in found if one.severity is Severity.ERROR] == ["rule wanted"]


@pytest.mark.parametrize("present", [False, True])
def test_a_rule_that_is_not_loaded_is_an_error_even_while_its_last_series_lives(
    server: Checked, check: Check, present: bool
) -> None:
    if present:
        server.present("nv_inference_count_irate")

    assert check("nv_inference_count_irate") == [
        Finding(
            PLACE,
            "nv_inference_count_irate is recorded by a rule that this Prometheus has not loaded",
            "add prometheus/rules/triton.yml to its rule_files",
        )
    ]


def test_a_derived_metric_names_its_own_rule_file_and_when_it_has_a_value(server: Checked, check: Check) -> None:
    (finding,) = check("nv_inference_batch_size")
    assert finding.remedy == "add prometheus/rules/derived.yml to its rule_files"

    server.rule("nv_inference_batch_size", "rate(nv_inference_count[90s]) / (rate(nv_inference_exec_count[90s]) > 0)")

    (finding,) = check("nv_inference_batch_size")
    assert finding.remedy == "it appears after two scrapes, and while there are requests"


def test_a_rule_that_is_loaded_and_has_no_series_yet_is_a_warning(server: Checked, check: Check) -> None:
    server.rule("nv_inference_count_irate", "irate(nv_inference_count[1m])")

    assert check("nv_inference_count_irate") == [
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
def test_a_window_needs_two_of_the_longest_scrapes(server: Checked, check: Check, window: str, words: str) -> None:
    server.targets = [server.target("15s"), server.target("30s")]
    server.rule("mine", f'sum(irate(a{{b="("}}[{window}]))')
    expected = [Finding("rule mine", f"irate(…[{window}]) {words}", "use [2m]")] if words else []

    assert check() == expected


def test_a_value_that_is_too_old_gives_no_row_and_no_finding_on_one(server: Checked, check: Check) -> None:
    server.lookback = 300
    server.add("stale", [(T - 100, 1.0)], **{f"label_{number}": "x" for number in range(10)})

    assert [one.problem for one in check("stale")] == [
        "stale gave no row for 2026-11-18T11:07:00Z: its samples are older, or too few"
    ]


def test_a_long_query_without_a_window_is_looked_through_once() -> None:
    """A way of reading braces twice would take 2³⁰ steps here."""
    assert _WINDOW.findall(f"rate({'{}' * 30}x") == []
    assert _WINDOW.findall('rate(a{b="}("}[5m])') == [("rate", "5m")]


def test_a_query_is_held_to_the_same_windows(server: Checked, check: Check) -> None:
    expr = "rate(up[10s])"
    server.expressions[expr] = [{"metric": {}, "value": [T, "1"]}]

    assert [(found.place, found.severity) for found in check(query(expr))] == [(f"{PLACE}.query", Severity.ERROR)]


def test_the_window_of_a_subquery_has_samples_at_its_own_steps(server: Checked, check: Check) -> None:
    expr = "rate(up[10s:1s])"
    server.expressions[expr] = [{"metric": {}, "value": [T, "1"]}]

    assert check(query(expr)) == []


@pytest.mark.parametrize("expr", ["rate(foo[5min])", "sum("])
def test_what_prometheus_refuses_is_told_in_its_own_words(server: Checked, check: Check, expr: str) -> None:
    """A window that cannot be read too."""
    assert check(query(expr)) == [Finding(f"{PLACE}.query", f"Prometheus answered 400: 1:1: parse error: {expr}", TRY)]


def test_a_query_for_a_string_is_a_finding_and_no_failure(server: Checked, check: Check) -> None:
    assert check(query('"hello"')) == [Finding(f"{PLACE}.query", "the result is a string and no number", TRY)]


def test_a_prometheus_that_is_away_is_a_failure_and_the_rest_is_told(server: Checked, check: Check) -> None:
    server.failures = [(503, b"")]
    found = check("nv_inference_count")

    assert [(one.place, one.severity) for one in found] == [(server.url, Severity.FAILURE), (PLACE, Severity.NOTE)]
    assert found[0].problem == "Prometheus answered 503: Service Unavailable"


def test_a_prometheus_that_goes_away_at_a_query_is_no_finding_on_the_query(server: Checked, check: Check) -> None:
    reply, done = server.reply, threading.Event()

    def slow(path: str, asked: dict[str, str]) -> Reply:
        if asked.get("query") == "slow":
            done.wait(30)
        return reply(path, asked)

    server.reply = slow  # type: ignore[method-assign]
    found = check(query("slow"))
    done.set()

    assert [(one.place, one.problem) for one in found] == [(server.url, "Prometheus did not answer in time")]


def test_something_that_scrapes_nothing_itself_is_asked_for_the_rest(server: Checked, check: Check) -> None:
    """Such as Thanos' querier: no targets, no metadata."""
    reply = server.reply

    def without(path: str, asked: dict[str, str]) -> Reply:
        return (404, b"") if path.rpartition("/")[2] in {"targets", "metadata"} else reply(path, asked)

    server.reply = without  # type: ignore[method-assign]

    assert check() == [
        Finding(
            "Prometheus",
            "tells of no targets and no metadata: what depends on that was not looked at",
            severity=Severity.NOTE,
        )
    ]


def test_an_interval_without_scrapes_is_told_and_not_priced(server: Checked, tmp_path: Path) -> None:
    server.scrape([T - 61, NOW])
    prometheus = Prometheus(server.url)
    selection = parse('{"customMetrics": ["up"]}')
    result = bridge.check.check(load({"BRIDGE_SANDBOX": "1"}), selection, prometheus, tmp_path, clock=lambda: NOW)
    prometheus.close()

    assert result.bill is None
    assert [one.problem for one in result.findings] == [
        "Prometheus scraped nothing from 2026-11-18T11:06:00Z to 2026-11-18T11:07:00Z: rows and cost are not known"
    ]


def test_a_target_that_bridge_match_rules_out_is_not_told(server: Checked, check: Check) -> None:
    """Its ``up`` is not among the answers."""
    theirs = {"labels": {"job": "node", "instance": "node:9100"}}
    server.targets = [server.target(), server.target("5m", health="down", error="refused") | theirs]

    assert check(BRIDGE_MATCH='job="triton"') == []


def test_many_targets_that_are_down_alike_are_one_finding(server: Checked, check: Check) -> None:
    server.targets = [server.target(health="down", error="refused") | {"scrapePool": str(n)} for n in range(9)]
    (found,) = check()

    assert found.place == "targets " + ", ".join(["triton triton-0:8002"] * 4) + " and 5 more"


def test_the_state_folder_and_the_endpoint_are_looked_at_too(check: Check) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        key = "InstrumentationKey=11111111-2222-3333-4444-555555555555"
        posts = {"APPLICATIONINSIGHTS_CONNECTION_STRING": f"{key};IngestionEndpoint={endpoint}", "BRIDGE_SANDBOX": ""}
        found = check(folder=Path("/proc/bridge"), **posts)

    assert [(one.place, one.severity) for one in found] == [
        ("/proc/bridge", Severity.FAILURE),
        (endpoint, Severity.FAILURE),
    ]


def test_the_worst_stands_first_and_then_the_order_of_the_file(check: Check) -> None:
    """The third entry before the eleventh."""
    found = check(*[f"none_{number}" for number in range(11)], query("sum("))

    assert [one.place for one in found] == [
        "metrics.json: customMetrics[11].query",
        *(f"metrics.json: customMetrics[{number}]" for number in range(11)),
    ]
