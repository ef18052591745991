"""What Triton exposes and what our rules record of it, as data."""

from __future__ import annotations

import re

import pytest
import yaml

from bridge.triton import EXPOSED, Exposed, Kind, Recorded, recorded
from examples.stack import ROOT


@pytest.mark.parametrize("metric", EXPOSED, ids=lambda metric: metric.name)
def test_an_entry_is_complete_and_its_kind_shows_in_its_labels(metric: Exposed) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_:]*", metric.name)
    assert metric.unit
    assert metric.meaning
    assert re.fullmatch(r"2[2-9]\.(0[1-9]|1[0-2])", metric.since)
    assert metric.since >= "22.04"
    assert ("quantile" in metric.labels) == (metric.kind is Kind.SUMMARY)
    assert ("le" in metric.labels) == (metric.kind is Kind.HISTOGRAM)


def test_a_name_stands_once() -> None:
    names = [metric.name for metric in EXPOSED]

    assert sorted(set(names)) == sorted(names)


def test_what_is_recorded_is_what_the_rules_record() -> None:
    """Each name by its own file, of the same series."""
    rules = {
        (path.name, rule["record"]): set(re.findall(r"\bnv_\w+", rule["expr"]))
        for path in (ROOT / "prometheus" / "rules").glob("*.yml")
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    }

    assert rules == {(rule.file, rule.name): set(rule.sources) for rule in recorded()}


def test_a_recorded_name_is_none_that_triton_exposes() -> None:
    names = [rule.name for rule in recorded()]

    assert sorted(set(names)) == sorted(names)
    assert {metric.name for metric in EXPOSED} & set(names) == set()


def test_what_is_recorded_comes_from_something_that_accumulates() -> None:
    """A quantile has no rate: of a summary it is the sum or the count that accumulates."""
    accumulate = {
        name
        for metric in EXPOSED
        for name in {
            Kind.COUNTER: [metric.name],
            Kind.SUMMARY: [f"{metric.name}_sum", f"{metric.name}_count"],
        }.get(metric.kind, [])
    }

    assert {source for rule in recorded() for source in rule.sources} - accumulate == set()


@pytest.mark.parametrize("rule", recorded(), ids=lambda rule: rule.name)
def test_a_recorded_name_ends_in_what_it_is(rule: Recorded) -> None:
    endings = {"triton.yml": ("_irate",), "derived.yml": ("_per_request", "_size", "_ratio")}

    assert rule.name.endswith(endings[rule.file])
    assert rule.unit
    assert rule.meaning


def test_of_a_request_every_duration_has_its_mean() -> None:
    durations = [metric.name for metric in EXPOSED if metric.name.endswith("_duration_us")]

    assert len(durations) == 5
    assert [f"{name}_per_request" for name in durations] == [
        rule.name for rule in recorded() if rule.unit == "us/request"
    ]
