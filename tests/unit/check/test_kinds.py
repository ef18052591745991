"""Modes that do not fit a metric's type, by the files alone, and by what Prometheus tells of types."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.check import check_offline
from bridge.check.kinds import Kinds, check_kinds
from bridge.errors import Finding, Severity
from bridge.selection import Mode, parse
from bridge.settings import load
from bridge.triton import Kind

TOLD = {"a": "counter", "b": "gauge", "c": "summary", "d": "histogram", "e": "unknown", "f": "counter"}
PLACE = "metrics.json: customMetrics[0]"
NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR
MODES = [mode.value for mode in Mode]


def check(*entries: object, names: frozenset[str] = frozenset()) -> list[Finding]:
    return list(check_kinds(parse(json.dumps({"customMetrics": entries})), Kinds(TOLD), names))


def instead(finding: Finding) -> dict[str, Any]:
    """The entry that the remedy tells, which must be one."""
    written = json.loads(finding.remedy[finding.remedy.index("{") :])
    assert parse(json.dumps({"customMetrics": [written]})).entries
    return dict(written)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("a", [NOTE, None, None, None, WARNING, ERROR]),
        ("f_total", [NOTE, None, None, None, WARNING, ERROR]),
        ("b", [None, WARNING, WARNING, WARNING, None, ERROR]),
        ("c", [None, WARNING, WARNING, WARNING, None, ERROR]),
        ("c_sum", [NOTE, None, None, None, WARNING, ERROR]),
        ("c_bucket", [None] * 6),
        ("d", [ERROR, ERROR, ERROR, ERROR, ERROR, None]),
        ("d_bucket", [NOTE, NOTE, NOTE, NOTE, NOTE, ERROR]),
        ("d_count", [NOTE, None, None, None, WARNING, ERROR]),
        ("e", [None] * 6),
        ("nobody_knows", [None] * 6),
        ("nv_inference_count", [NOTE, None, None, None, WARNING, ERROR]),
        ("nv_inference_count_irate", [None, WARNING, WARNING, WARNING, None, ERROR]),
        ("nv_cache_num_hits", [NOTE, None, None, None, WARNING, ERROR]),
    ],
)
def test_each_mode_fits_some_kinds(metric: str, expected: list[Severity | None]) -> None:
    """By mode: value, increase, rate, irate, stats, histogram. What the remedy tells instead has no finding but a note."""
    found = [check({"metric": metric, "mode": mode}) for mode in MODES]

    assert [one[0].severity if one else None for one in found] == expected
    better = [check(instead(finding)) for one in found for finding in one]
    assert [finding for one in better for finding in one if finding.severity is not NOTE] == []


def test_a_counter_sent_as_accumulation_is_told_the_exact_form() -> None:
    assert check("a") == [
        Finding(
            PLACE,
            "a is a counter, sent as the accumulation since its process started",
            'exact increments: {"metric": "a", "mode": "increase"}',
            NOTE,
        )
    ]


def test_what_an_entry_says_besides_stays_in_the_form_that_is_told() -> None:
    """But for what is made of accumulations."""
    labels = {"rename": {"x": "y"}}
    (found,) = check(
        {"metric": "a", "name": "mine", "match": 'x="1"', "by": ["x"], "aggregate": "max", "labels": labels}
    )

    assert instead(found) == {
        "metric": "a",
        "name": "mine",
        "match": 'x="1"',
        "by": ["x"],
        "labels": labels,
        "mode": "increase",
    }


def test_of_a_glob_the_names_concerned_are_told_in_one_finding_a_kind() -> None:
    found = check("?*", names=frozenset({"a", "b", "c", "c_sum", "d_bucket", "x"}))

    assert [(one.problem.partition(",")[0], one.severity) for one in found] == [
        ("a", NOTE),
        ("d_bucket holds the buckets of the histogram d", NOTE),
    ]
    assert found[0].problem == "a, c_sum are counters, sent as the accumulations since their process started"
    assert instead(found[0]) == {"metric": "a", "mode": "increase"}
    assert "goes before the glob" in found[0].remedy


def test_a_glob_of_gauges_is_told_those_that_fall() -> None:
    (found,) = check({"metric": "?", "mode": "rate"}, names=frozenset({"a", "b"}))

    assert found.problem == "b is a gauge, which rises and falls: rate takes each fall for a new start"


def test_what_another_entry_sends_is_no_fault_of_a_glob() -> None:
    """What is named goes before globs, by whatever name it is sent; of globs the first one counts."""
    exact = {"metric": "a", "mode": "increase", "name": "mine"}
    whole = {"metric": "d", "mode": "histogram"}
    found = check(
        "?*", {"metric": "f*", "mode": "stats"}, exact, whole, names=frozenset({"a", "d_bucket", "d_sum", "f"})
    )

    assert [(one.place, one.problem.partition(",")[0]) for one in found] == [(PLACE, "f is a counter")]


def test_a_query_has_no_mode_to_fit() -> None:
    assert check({"query": "a", "name": "q"}) == []


def test_what_triton_says_itself_goes_before_what_prometheus_is_told() -> None:
    assert Kinds({"nv_inference_count": "gauge"}).of("nv_inference_count") == (Kind.COUNTER, "", "nv_inference_count")


def test_without_a_prometheus_the_files_alone_are_checked() -> None:
    selection = parse('{"customMetrics": ["nv_inference_count", "nv_cpu_*", {"metric": "nv_gpu_p*", "mode": "rate"}]}')
    found = check_offline(load({"BRIDGE_SANDBOX": "1"}), selection).findings

    assert [(one.place.partition(": ")[2], one.severity) for one in found] == [
        ("customMetrics[2]", WARNING),
        ("customMetrics[0]", NOTE),
    ]
