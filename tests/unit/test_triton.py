"""What Triton exposes and what our rules record of it, as data."""

from __future__ import annotations

import re

import pytest

from bridge.triton import EXPOSED, Exposed, Kind, recorded
from examples.stack import ROOT

RULE = re.compile(r"- record: (\S+)\n +expr: irate\((\S+)\[\w+\]\)")


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
    rules = (ROOT / "prometheus" / "rules" / "triton.yml").read_text()

    assert sorted(RULE.findall(rules)) == sorted((rate.name, rate.source) for rate in recorded())


def test_a_rate_comes_from_something_that_accumulates() -> None:
    kinds = {metric.name: metric.kind for metric in EXPOSED}
    sources = {
        re.sub(r"_(sum|count)$", "", rate.source) if "_summary_" in rate.source else rate.source for rate in recorded()
    }

    assert {kinds[source] for source in sources} == {Kind.COUNTER, Kind.SUMMARY}
    assert not any(rate.source in kinds for rate in recorded() if "_summary_" in rate.source), "a quantile has no rate"
