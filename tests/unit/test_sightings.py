"""What the bridge saw itself counts as one more raw sample of each series, and a closed port as a zero."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.points import Identity, Series, Sighting, identity
from bridge.selection import parse
from bridge.sightings import before, joined, replaced
from bridge.telemetry import Answers, Cut, translate

HERE, THERE = "127.0.0.1:8002", "other:8002"


def labels(name: str = "c", instance: str = HERE, **more: str) -> dict[str, str]:
    return {"__name__": name, "instance": instance, "job": "triton", **more}


def key(name: str = "c", instance: str = HERE, **more: str) -> Identity:
    return identity(labels(name, instance, **more))


def test_without_a_sighting_in_the_window_the_answer_is_as_it_was() -> None:
    answer = [Series(labels(), [(10.0, "1")])]
    early, late = Sighting(5.0, HERE, None), Sighting(31.0, HERE, {key(): "9"})

    assert joined(answer, [early, late], after=5.0, until=30.0) == answer


def test_a_value_stands_among_the_samples_by_its_time() -> None:
    (series,) = joined(
        [Series(labels(), [[10.0, "1"], [30.0, "3"]])],  # type: ignore[list-item] — as JSON gives them
        [Sighting(20.0, HERE, {key(): "2"})],
        after=0.0,
        until=40.0,
    )

    assert series.samples == [(10.0, "1"), (20.0, "2"), (30.0, "3")]


def test_a_series_that_prometheus_never_scraped_is_made_of_what_was_seen() -> None:
    seen = Sighting(20.0, HERE, {key(model="new"): "2"})

    assert joined([], [seen], after=0.0, until=40.0) == [Series(labels(model="new"), [(20.0, "2")])]


def test_a_closed_port_is_a_zero_for_the_series_of_that_target_that_follow() -> None:
    answer = [
        Series(labels(model="here"), [(20.0, "7")]),
        Series(labels(model="gone"), [(5.0, "7")]),
        Series(labels(instance=THERE), [(20.0, "7")]),
    ]

    assert joined(answer, [Sighting(10.0, HERE, None)], after=0.0, until=30.0) == [
        Series(labels(model="here"), [(10.0, "0"), (20.0, "7")]),
        Series(labels(model="gone"), [(5.0, "7")]),
        Series(labels(instance=THERE), [(20.0, "7")]),
    ]


def test_a_run_that_was_never_scraped_counts_from_the_closed_port_to_the_last_look() -> None:
    sightings = [Sighting(9.0, HERE, {key(): "4"}), Sighting(1.0, HERE, None)]

    (series,) = joined([], sightings, after=0.0, until=9.0)

    assert series.samples == [(1.0, "0"), (9.0, "4")]


def test_the_last_value_before_an_interval_is_the_newest_one_seen() -> None:
    sightings = [
        Sighting(20.0, HERE, {key(): "2"}),
        Sighting(10.0, HERE, {key(): "1", key("d"): "5", key("e"): "7"}),
        Sighting(40.0, HERE, {key(): "4"}),
    ]
    asked = [Series(labels(), [(31.0, "5")]), Series(labels("d"), [(31.0, "6")])]

    assert before(asked, sightings, 30.0, after=5.0) == {key(): (20.0, "2"), key("d"): (10.0, "5")}
    assert before(asked, sightings, 30.0, after=15.0) == {key(): (20.0, "2")}


def test_a_port_that_was_closed_before_an_interval_is_a_zero_for_the_series_of_that_target() -> None:
    """A Triton that loads its models for minutes opens long after it was started, and answers before it is scraped."""
    sightings = [Sighting(20.0, HERE, None), Sighting(10.0, HERE, {key(): "9"}), Sighting(25.0, HERE, {key("d"): "5"})]
    asked = [Series(one, [(31.0, "6")]) for one in (labels(), labels("d"), labels(instance=THERE))]

    assert before(asked, sightings, 30.0, after=0.0) == {key(): (20.0, "0"), key("d"): (25.0, "5")}


@pytest.mark.parametrize(("scraped", "value", "begins"), [(25.0, "1", False), (25.0, "0", True), (15.0, "1", True)])
def test_a_series_does_not_begin_at_a_closed_port_if_the_target_was_scraped_without_it_since(
    scraped: float, value: str, begins: bool
) -> None:
    """It began after that scrape: its rate would be that of the hour before."""
    closed = [Sighting(20.0, HERE, None)]
    found = [Series(labels(), [(31.0, "6")])]
    up = [Series({**labels("up")}, [(scraped, value)])]

    assert before(found, closed, 30.0, after=0.0, up=up) == ({key(): (20.0, "0")} if begins else {})
    (series,) = joined(found, closed, after=0.0, until=40.0, up=up)
    assert series.samples == ([(20.0, "0"), (31.0, "6")] if begins else [(31.0, "6")])


def test_a_value_that_was_seen_replaces_the_scraped_one_and_no_other() -> None:
    answer = [Series(labels("g"), [(9.0, "1")]), Series(labels("rule"), [(9.0, "2")])]
    seen = Sighting(10.0, HERE, {key("g"): "8", key("g", model="new"): "3", key("unselected"): "5"})

    assert replaced(answer, seen, {"g", "rule"}) == [
        Series(labels("rule"), [(9.0, "2")]),
        Series(labels("g"), [(10.0, "8")]),
        Series(labels("g", model="new"), [(10.0, "3")]),
    ]


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.lists(st.sampled_from(["scraped", "seen"]), min_size=12, max_size=12),
    st.integers(1, 11),
)
def test_a_count_cut_where_it_was_last_seen_adds_up(steps: list[int], how: list[str], cut: int) -> None:
    """Whichever samples were scraped and which were seen: both parts together are what the counter gained."""
    values = [0]
    for step in steps:
        values.append(values[-1] + step)
    scraped = [(10.0 * n, str(v)) for n, v in enumerate(values) if n == 0 or how[n - 1] == "scraped"]
    end, middle = 10.0 * len(steps), 10.0 * min(cut, len(steps)) - 5
    sightings = [Sighting(10.0 * n, HERE, {key(): str(v)}) for n, v in enumerate(values) if n and how[n - 1] == "seen"]
    selection = parse(json.dumps({"customMetrics": [{"metric": "c", "mode": "increase"}]}))

    total = 0.0
    for start, until in ((0.0, middle), (middle, end)):
        answer = [Series(labels(), [sample for sample in scraped if sample[0] <= until])]
        samples = joined(answer, sightings, after=-1.0, until=until)
        reading = translate(selection, Answers(samples=samples), Cut(start, until, 60.0), max_series=10)
        total += sum(point.value for metric in reading.metrics for point in metric.data.data_points)

    assert total == values[-1]
