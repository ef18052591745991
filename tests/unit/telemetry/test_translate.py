"""From Prometheus' answers to OpenTelemetry metrics: who sends what, what is left out, what is said of it."""

import io
import json
import math

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    Gauge,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from bridge.points import Series, identity
from bridge.telemetry import Answers, translate
from tests.unit.telemetry.answers import CUT, UP, T, histogram, rows, select, series, translated, values

# -- values ------------------------------------------------------------------------------------------------------------


def test_every_label_becomes_a_dimension_and_the_time_is_t() -> None:
    reading = translate(
        select("m"), Answers(values=[series("m", (0, 2.5), model="a", quantile="0.5")]), CUT, max_series=9
    )

    ((metric,),) = [reading.metrics]
    (point,) = metric.data.data_points
    assert isinstance(metric.data, Gauge)
    assert point.attributes == {"job": "triton", "instance": "t:8002", "model": "a", "quantile": "0.5"}
    assert (point.time_unix_nano, point.value) == (int(T) * 10**9, 2.5)


def test_what_is_not_finite_is_counted_and_never_sent() -> None:
    found = [series("m", (0, value), model=str(value)) for value in (1.0, math.nan, math.inf, -math.inf)]
    reading = translate(select("m"), Answers(values=found), CUT, max_series=9)

    assert values(reading) == {"m": [1.0]}
    assert (reading.read, reading.not_finite) == (4, {"m": 3})


def test_a_value_that_is_too_old_gives_no_row() -> None:
    old, young = series("m", (0, 1), model="old"), series("m", (0, 2), model="young")
    answers = Answers(values=[old, young], fresh=frozenset([identity(young.labels)]))

    assert values(translate(select("m"), answers, CUT, max_series=9)) == {"m": [2]}


def test_a_metric_that_is_selected_twice_is_read_from_its_own_answer() -> None:
    selection = select("m", {"metric": "m", "mode": "increase", "name": "gain"})
    answers = Answers(values=[series("m", (0, 50))], samples=[series("m", (-65, 40), (-5, 50))])

    assert values(translate(selection, answers, CUT, max_series=9)) == {"m": [50], "gain": [10]}


def test_a_query_is_sent_under_its_name_with_the_labels_it_left() -> None:
    answers = Answers(expressions={"total": [Series({"model": "a"}, [(T, "7")])]})
    (metric,) = translate(select({"query": "sum(m)", "name": "total"}), answers, CUT, max_series=9).metrics

    assert (metric.name, metric.data.data_points[0].attributes) == ("total", {"model": "a"})


def test_nothing_that_was_not_selected_leaves() -> None:
    answers = Answers(values=[series("m", (0, 1)), series("scrape_duration_seconds", (0, 1))], up=[UP])

    assert values(translate(select("m"), answers, CUT, max_series=9)) == {"m": [1]}


# -- who sends what ----------------------------------------------------------------------------------------------------


def test_a_glob_sends_each_metric_that_is_there_under_its_own_name() -> None:
    found = [series(name, (0, number)) for number, name in enumerate(["ab", "a", "abc", "xab", "a:b"])]

    assert values(translated(select("a*"), found)) == {"a": [1], "a_b": [4], "ab": [0], "abc": [2]}
    assert values(translated(select("a?"), found)) == {"ab": [0]}
    assert values(translated(select("*b"), found)) == {"a_b": [4], "ab": [0], "xab": [3]}
    assert values(translated(select("?"), found)) == {"a": [1]}
    assert translated(select("z*"), found).absent == ("z*",)


def test_an_entry_that_names_a_metric_goes_before_all_globs_wherever_it_stands() -> None:
    found = [series("m", (-65, 1), (-5, 4)), series("n", (-65, 1), (-5, 9))]
    named = {"metric": "m", "mode": "increase"}

    assert values(translated(select("*", named), found)) == {"n": [9], "m": [3]}
    assert values(translated(select(named, "*"), found)) == {"m": [3], "n": [9]}


def test_of_globs_the_first_one_counts() -> None:
    found = [series(name, (-65, 1), (-5, 4)) for name in ("ab", "ac", "b")]
    gain = {"metric": "?b", "mode": "increase"}

    assert values(translated(select(gain, "a*"), found)) == {"ab": [3], "ac": [4]}
    assert values(translated(select("a*", gain), found)) == {"ab": [4], "ac": [4]}


def test_a_name_that_another_entry_publishes_is_taken() -> None:
    """Of another metric, of a query, of a quantile."""
    found = [
        series("x", (0, 1)),
        series("y", (0, 2)),
        series("h_p50", (0, 3)),
        *histogram("h", {"4": (0, 2), "+Inf": (0, 2)}, (0, 4)),
    ]
    expressions = {"x": [Series({}, [(T, "9")])]}
    named = [{"metric": "y", "name": "z"}, {"query": "1", "name": "x"}]
    quantiles = {"metric": "h", "mode": "histogram", "quantiles": [0.5]}
    reading = translated(select("*", *named, quantiles), found, expressions=expressions)

    assert {name: found[0][1] for name, found in rows(reading).items()} == {
        "x": 9,
        "z": 2,
        "h": (2, 4, 0, 4),
        "h_p50": 2,
    }


def test_an_entry_sends_the_series_that_fit_its_matchers() -> None:
    """Two entries that mean others were asked apart: each gets the answers of both."""
    found = [series("m", (0, number), model=model) for number, model in enumerate(["bert-a", "bert-b", "gpt", ""])]
    selection = select(
        {"metric": "m", "match": 'model=~"bert.*"', "name": "bert", "by": [], "aggregate": "max"},
        {"metric": "m", "match": 'model!="gpt",model!=""', "name": "not_gpt", "by": [], "aggregate": "sum"},
        {"metric": "m", "match": 'model=""', "name": "none", "by": [], "aggregate": "sum"},
    )

    assert values(translated(selection, found)) == {"bert": [1], "not_gpt": [1], "none": [3]}


def test_of_two_globs_the_first_one_counts_whatever_its_matchers_and_whatever_is_there() -> None:
    """What is there now must not decide under which form a name is sent."""
    found = [series("a", (0, 1), model="x"), series("b", (0, 2), model="y"), series("b", (0, 3), model="z")]
    selection = select({"metric": "*", "match": 'model="x"'}, {"metric": "?", "match": 'model=~"y|z"'})

    assert values(translated(selection, found)) == {"a": [1]}
    gone = select("nv_gpu_*", {"metric": "nv_*", "mode": "increase"})
    answers = Answers(samples=[series("nv_gpu_x", (-65, 0.2), (-30, 0.5))])
    assert values(translate(gone, answers, CUT, max_series=9)) == {}


def test_matchers_hold_for_all_series_of_a_histogram() -> None:
    found = [
        *histogram("h", {"4": (0, 2), "+Inf": (0, 2)}, (0, 4), model="a"),
        *histogram("h", {"4": (0, 9), "+Inf": (0, 9)}, (0, 9), model="b"),
    ]
    selection = select({"metric": "h", "mode": "histogram", "match": 'model="a"', "by": []})

    assert rows(translated(selection, found)) == {"h": [({}, (2, 4, 0, 4))]}


def test_what_gives_no_row_is_absent() -> None:
    found = [series("gone", (-65, 1)), series("there", (-65, 1), (-5, 1))]
    names = [{"metric": name, "mode": "increase"} for name in ("gone", "there", "never")]

    assert translated(select(*names), found).absent == ("gone", "never")


# -- too many ----------------------------------------------------------------------------------------------------------


def test_above_the_limit_the_largest_metric_is_left_out_whole_and_named() -> None:
    small = [series("small", (0, 1), i=str(i)) for i in range(3)]
    large = [series("large", (0, 1), i=str(i)) for i in range(4)]
    reading = translate(select("small", "large"), Answers(values=small + large), CUT, max_series=6)

    assert reading.series == {"small": 3}
    assert (reading.read, reading.left_out) == (7, {"large": 4})


MODES = st.sampled_from(["value", "increase", "rate", "irate", "stats"])


@given(st.lists(st.tuples(st.integers(0, 9), MODES), min_size=1, max_size=6), st.integers(0, 40))
def test_read_is_what_is_sent_plus_what_is_not(sizes: list[tuple[int, str]], limit: int) -> None:
    """In every mode, with globs and a histogram beside it."""
    found = [
        *(
            series(f"m{i}", (-20, 0.0), (-5, math.inf if j % 4 == 3 else 1.0), i=str(j))
            for i, (size, _) in enumerate(sizes)
            for j in range(size)
        ),
        *(one for i in range(3) for one in histogram("h", {"+Inf": (0, i)}, (0, 1), i=str(i))),
    ]
    entries = [{"metric": f"m{i}", "mode": mode} for i, (_, mode) in enumerate(sizes)]
    selection = select(*entries, {"metric": "h", "mode": "histogram", "quantiles": [0.5]}, "*", {"metric": "*_count"})
    reading = translated(selection, found, limit=limit)

    sent = sum(reading.series.values())
    assert reading.read == sent + sum(reading.not_finite.values()) + sum(reading.left_out.values())
    assert sent <= limit
    assert reading.not_finite.keys().isdisjoint(reading.left_out)


def test_the_limit_is_by_published_name() -> None:
    """A histogram and its quantiles are left out one by one; of equally large ones the first by name."""
    found = [
        *(series(name, (-5, 1), i=str(i)) for name in ("ga", "gb", "gc") for i in range(3)),
        *histogram("h", {"4": (0, 2), "+Inf": (0, 2)}, (0, 4)),
    ]
    selection = select("gc", "g?", {"metric": "h", "mode": "histogram", "quantiles": [0.5]})

    def sent(limit: int) -> tuple[dict[str, int], dict[str, int]]:
        reading = translated(selection, found, limit=limit)
        assert reading.read == 11
        return reading.series, dict(reading.left_out)

    assert sent(11) == ({"ga": 3, "gb": 3, "gc": 3, "h": 1, "h_p50": 1}, {})
    assert sent(10) == ({"gb": 3, "gc": 3, "h": 1, "h_p50": 1}, {"ga": 3})
    assert sent(4) == ({"h": 1, "h_p50": 1}, {"ga": 3, "gb": 3, "gc": 3})
    assert sent(1) == ({"h_p50": 1}, {"ga": 3, "gb": 3, "gc": 3, "h": 1})
    assert sent(0) == ({}, {"ga": 3, "gb": 3, "gc": 3, "h": 1, "h_p50": 1})


# -- the noun ----------------------------------------------------------------------------------------------------------


def test_any_opentelemetry_exporter_can_stand_where_azure_stands() -> None:
    selection = select("m", {"metric": "c", "mode": "increase"})
    answers = Answers(values=[series("m", (0, 1.5), model="a")], samples=[series("c", (-65, 1), (-5, 4))])
    reading = translate(selection, answers, CUT, max_series=9)
    scope = ScopeMetrics(InstrumentationScope("bridge"), list(reading.metrics), "")
    out = io.StringIO()

    result = ConsoleMetricExporter(out=out).export(MetricsData([ResourceMetrics(Resource({}), [scope], "")]))

    assert result is MetricExportResult.SUCCESS
    printed = json.loads(out.getvalue())["resource_metrics"][0]["scope_metrics"][0]["metrics"]
    assert [metric["name"] for metric in printed] == ["m", "c"]
    assert [metric["data"]["data_points"][0]["value"] for metric in printed] == [1.5, 3.0]
