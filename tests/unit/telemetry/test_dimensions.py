"""From labels to dimensions: what is dropped, renamed, added, and never overwritten."""

import json

import pytest

from bridge.points import Series
from bridge.selection import parse
from bridge.telemetry import Answers, translate
from bridge.telemetry.dimensions import dimensions
from tests.unit.telemetry.answers import CUT, T, rows, select, series, translated


@pytest.mark.parametrize("instance", ["127.0.0.1:8002", "localhost:8002", "[::1]:8002", "127.3.2.1:80", "localhost"])
def test_a_loopback_instance_is_no_dimension_and_nor_is_its_job(instance: str) -> None:
    reading = translate(
        select("m"), Answers(values=[series("m", (0, 1), instance=instance, model="a")]), CUT, max_series=9
    )

    assert reading.metrics[0].data.data_points[0].attributes == {"model": "a"}


@pytest.mark.parametrize("instance", ["10.0.0.7:8002", "triton-0:8002", "localhost.example:8002", "[::2]:8002", "gpu"])
def test_any_other_instance_stays(instance: str) -> None:
    reading = translate(select("m"), Answers(values=[series("m", (0, 1), instance=instance)]), CUT, max_series=9)

    assert reading.metrics[0].data.data_points[0].attributes == {"job": "triton", "instance": instance}


def attributes(metric: dict[str, object], borne: dict[str, str], **top: object) -> dict[str, str]:
    """The dimensions of the row of ``m``, of a series with these labels and no others."""
    found = Series({"__name__": "m", **borne}, [(T, "1")])
    ((_, (row,)),) = rows(translated(select({"metric": "m", **metric}, **top), [found])).items()
    return row[0]


def test_by_keeps_even_a_loopback_instance() -> None:
    target = {"job": "triton", "instance": "127.0.0.1:8002", "model": "a"}

    assert attributes({"by": ["instance"], "aggregate": "max"}, target) == {"instance": "127.0.0.1:8002"}
    assert attributes({"by": ["instance", "job"], "aggregate": "max"}, target) == {
        "instance": "127.0.0.1:8002",
        "job": "triton",
    }
    assert attributes({"by": ["job"], "aggregate": "max"}, target) == {"job": "triton"}
    assert attributes({"without": ["model"], "aggregate": "max"}, target) == {}


def test_a_label_gets_its_new_name_and_our_own_are_added() -> None:
    labels = {"rename": {"gpu_uuid": "gpu"}, "add": {"team": "search"}}

    assert attributes({"labels": labels}, {"gpu_uuid": "GPU-1"}) == {"gpu": "GPU-1", "team": "search"}
    assert attributes({"labels": labels}, {"model": "a"}) == {"model": "a", "team": "search"}


def test_what_the_series_bears_is_never_overwritten() -> None:
    labels = {"rename": {"gpu_uuid": "gpu"}, "add": {"team": "search"}}
    borne = {"gpu_uuid": "GPU-1", "gpu": "0", "team": "vision"}

    assert attributes({"labels": labels}, borne) == borne


@pytest.mark.parametrize("others", [{"b": "c"}, {"b": "a"}, {"c": "a"}])
def test_a_new_name_is_not_renamed_once_more(others: dict[str, str]) -> None:
    assert attributes({"labels": {"rename": {"a": "b", **others}}}, {"a": "1"}) == {"b": "1"}


def test_a_label_that_was_dropped_has_no_new_name() -> None:
    labels = {"rename": {"instance": "host", "job": "service"}}

    assert attributes({"labels": labels}, {"job": "triton", "instance": "localhost:8002", "model": "a"}) == {
        "model": "a"
    }
    assert attributes({"labels": labels}, {"job": "j", "instance": "t:8002"}) == {"service": "j", "host": "t:8002"}


def test_a_label_that_changes_places_leaves_room() -> None:
    assert attributes({"labels": {"rename": {"a": "x", "b": "a"}}}, {"a": "1", "b": "2"}) == {"x": "1", "a": "2"}


def test_the_labels_of_an_entry_go_before_those_for_all() -> None:
    every = {"rename": {"model": "name", "version": "v"}, "add": {"team": "all", "site": "here"}}
    own = {"rename": {"model": "model_name"}, "add": {"team": "search"}}

    assert attributes({"labels": own}, {"model": "a", "version": "1"}, labels=every) == {
        "model_name": "a",
        "v": "1",
        "team": "search",
        "site": "here",
    }


def test_labels_are_grouped_by_the_names_that_prometheus_has() -> None:
    metric = {"by": ["gpu_uuid"], "aggregate": "max", "labels": {"rename": {"gpu_uuid": "gpu"}}}

    assert attributes(metric, {"gpu_uuid": "GPU-1", "model": "a"}) == {"gpu": "GPU-1"}


def test_a_query_gets_new_names_too() -> None:
    selection = select({"query": "q", "name": "n", "labels": {"rename": {"a": "b"}}})
    answers = Answers(expressions={"n": [Series({"a": "1", "instance": "localhost:8002", "job": "j"}, [(T, "7")])]})

    assert rows(translate(selection, answers, CUT, max_series=9)) == {"n": [({"b": "1"}, 7.0)]}


def test_of_two_labels_that_would_get_one_name_the_entrys_own_gets_it_and_the_other_stays() -> None:
    selection = parse(
        json.dumps(
            {"labels": {"rename": {"b": "x"}}, "customMetrics": [{"metric": "m", "labels": {"rename": {"a": "x"}}}]}
        )
    )

    assert dimensions({"a": "1", "b": "2"}, selection.entries[0]) == {"x": "1", "b": "2"}
