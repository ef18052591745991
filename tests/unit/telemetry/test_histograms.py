"""A classic histogram's gain: one aggregate, bounded by its buckets, and its quantiles."""

from __future__ import annotations

import math

import pytest
from opentelemetry.sdk.metrics.export import AggregationTemporality, Histogram

from bridge.points import Series
from bridge.telemetry import Reading, orphans
from tests.unit.telemetry.answers import CUT, UP, histogram, rows, select, series, translated, values

FOUR = {"1": (10, 14), "5": (20, 27), "10": (30, 37), "+Inf": (40, 47)}  # gains: 4 to 1, 3 to 5, none to 10 and above
TARGET = {"job": "triton", "instance": "t:8002"}


def read(found: list[Series], *quantiles: float, **entry: object) -> Reading:
    wanted = {"quantiles": quantiles} if quantiles else {}
    return translated(select({"metric": "h", "mode": "histogram", **wanted, **entry}), found)


def test_its_gain_is_one_aggregate_with_bounds_by_its_buckets() -> None:
    (metric,) = read(histogram("h", FOUR, (100, 117), model="a")).metrics
    (point,) = metric.data.data_points

    assert isinstance(metric.data, Histogram)
    assert metric.data.aggregation_temporality is AggregationTemporality.DELTA
    assert (metric.name, point.attributes) == ("h", {**TARGET, "model": "a"})
    assert (point.count, point.sum, point.min, point.max) == (7, 17, 0, 5)
    assert (point.explicit_bounds, point.bucket_counts) == ((1, 5, 10), (4, 3, 0, 0))


@pytest.mark.parametrize(
    ("buckets", "total", "bounds"),
    [
        ({"1": (0, 0), "5": (0, 2), "+Inf": (0, 2)}, (0, 7), (1, 5)),
        ({"1": (0, 1), "5": (0, 1), "+Inf": (0, 2)}, (0, 60), (0, 30)),
        ({"1": (0, 1), "5": (0, 1), "+Inf": (0, 2)}, (0, 7), (0, 5)),
        ({"1": (0, 0), "5": (0, 0), "+Inf": (0, 2)}, (0, 20), (5, 10)),
        ({"-1": (0, 1), "5": (0, 2), "+Inf": (0, 2)}, (0, 2), (-1, 5)),
        ({"-1": (0, 2), "5": (0, 2), "+Inf": (0, 2)}, (0, -40), (-20, -1)),
        ({"0": (0, 2), "5": (0, 2), "+Inf": (0, 2)}, (0, 0), (0, 0)),
        ({"+Inf": (0, 2)}, (0, 20), (None, None)),
    ],
    ids=[
        "not from the first bucket",
        "an open bucket is at least as great as the mean",
        "an open bucket is at least as great as its begin",
        "only the open bucket",
        "a first bucket below zero has no other begin than its bound",
        "all below the first bound",
        "a first bucket that ends at zero",
        "no bound at all",
    ],
)
def test_the_bounds_are_those_of_the_buckets_that_gained(
    buckets: dict[str, tuple[float, float]], total: tuple[float, float], bounds: tuple[float | None, float | None]
) -> None:
    ((_, (row,)),) = rows(read(histogram("h", buckets, total))).items()

    assert row[1] == (2, total[1] - total[0], *bounds)


@pytest.mark.parametrize(
    ("wanted", "value"),
    [(0, 0), (0.25, 0.4375), (4 / 7, 1), (0.75, 1 + 4 * 1.25 / 3), (1, 5)],
)
def test_a_quantile_lies_in_its_bucket_in_proportion(wanted: float, value: float) -> None:
    """As PromQL's histogram_quantile has it: 7 gained, 4 of them at most 1, the others at most 5."""
    found = values_of_quantile(read(histogram("h", FOUR), wanted))

    assert found == pytest.approx(value)


def values_of_quantile(reading: Reading) -> float:
    (name,) = {metric.name for metric in reading.metrics} - {"h"}
    (metric,) = [metric for metric in reading.metrics if metric.name == name]
    (point,) = metric.data.data_points
    return point.value


@pytest.mark.parametrize(
    ("buckets", "median"),
    [
        ({"1": (0, 0), "5": (0, 1), "+Inf": (0, 9)}, 5),
        ({"-2": (0, 9), "5": (0, 9), "+Inf": (0, 9)}, -2),
        ({"0": (0, 9), "5": (0, 9), "+Inf": (0, 9)}, 0),
        ({"-2": (0, 0), "2": (0, 8), "+Inf": (0, 8)}, 0),
        ({"2": (0, 8), "+Inf": (0, 8)}, 1),
    ],
    ids=[
        "in the open bucket it is the highest bound",
        "in a first bucket that ends below zero it is its bound",
        "and in one that ends at zero",
        "a second bucket begins where the first ends",
        "a first bucket begins at zero",
    ],
)
def test_a_quantile_at_the_ends(buckets: dict[str, tuple[float, float]], median: float) -> None:
    assert values_of_quantile(read(histogram("h", buckets), 0.5)) == median


def test_the_least_quantile_is_the_begin_of_the_first_bucket_that_holds_any() -> None:
    assert values_of_quantile(read(histogram("h", {"1": (0, 0), "5": (0, 2), "+Inf": (0, 2)}), 0)) == 1


def test_quantiles_have_names_of_their_own_and_the_dimensions_of_their_histogram() -> None:
    found = rows(read(histogram("h", FOUR, model="a"), 0.5, 0.95, 0.999, 1, by=["model"]))

    assert list(found) == ["h", "h_p50", "h_p95", "h_p999", "h_p100"]
    assert [row[0] for told in found.values() for row in told] == [{"model": "a"}] * 5


def test_without_any_bound_a_quantile_is_not_finite() -> None:
    reading = read(histogram("h", {"+Inf": (0, 2)}, (0, 5)), 0.5)

    assert (reading.series, reading.read, reading.not_finite) == ({"h": 1}, 2, {"h_p50": 1})


def test_without_an_observation_there_is_no_row() -> None:
    reading = read(histogram("h", {"1": (3, 3), "+Inf": (5, 5)}, (9, 9)), 0.5)

    assert (reading.metrics, reading.read, reading.absent) == ((), 0, ("h",))


# -- beginning anew ----------------------------------------------------------------------------------------------------


def test_all_its_series_begin_anew_together() -> None:
    """Its last bucket passed its old value before the next scrape: another one tells that it began anew."""
    found = histogram("h", {"1": (10, 2), "5": (11, 12), "+Inf": (12, 13)}, (20, 50))

    assert rows(read(found)) == {"h": [(TARGET, (13, 50, 0, 5))]}


def test_a_sum_that_falls_tells_of_a_beginning_unless_values_may_be_below_zero() -> None:
    above = {"1": (1, 3), "+Inf": (1, 3)}
    below = {"-1": (1, 3), "+Inf": (1, 3)}

    assert rows(read(histogram("h", above, (9, 2)))) == {"h": [(TARGET, (3, 2, 0, 1))]}
    assert rows(read(histogram("h", below, (-1, -6)))) == {"h": [(TARGET, (2, -5, -2.5, -1))]}


def test_a_new_histogram_of_a_known_target_counts_from_zero() -> None:
    found = [Series(one.labels, one.samples[1:]) for one in histogram("h", FOUR, (0, 99))]
    selection = select({"metric": "h", "mode": "histogram"})

    assert [labels["__name__"] for labels in orphans(found, selection, CUT)] == [*["h_bucket"] * 4, "h_sum", "h_count"]
    assert rows(translated(selection, found, up=[UP])) == {"h": [(TARGET, (47, 99, 0, 10))]}
    assert rows(translated(selection, found)) == {}


# -- what is not whole -------------------------------------------------------------------------------------------------


def _without(found: list[Series], name: str, le: str = "") -> list[Series]:
    return [one for one in found if (one.labels["__name__"], one.labels.get("le", "")) != (name, le)]


def test_the_count_or_the_last_bucket_may_be_missing() -> None:
    whole = histogram("h", FOUR, (100, 117))
    row = {"h": [(TARGET, (7, 17, 0, 5))]}

    assert rows(read(_without(whole, "h_count"))) == row
    assert rows(read(_without(whole, "h_bucket", "+Inf"))) == row
    assert rows(read(_without(_without(whole, "h_bucket", "+Inf"), "h_count"))) == {}


def test_without_its_sum_it_is_not_finite_and_its_quantiles_are() -> None:
    reading = read(_without(histogram("h", FOUR), "h_sum"), 0.5)

    assert (reading.series, reading.not_finite) == ({"h_p50": 1}, {"h": 1})


@pytest.mark.parametrize(
    ("buckets", "counts"),
    [
        ({"1": (0, 4), "5": (0, 3), "+Inf": (0, 9)}, (4, 0, 5)),
        ({"1": (0, 4), "5": (0, 12), "+Inf": (0, 9)}, (4, 5, 0)),
    ],
    ids=["a bucket behind the one below", "a bucket ahead of the count"],
)
def test_of_a_torn_histogram_the_count_stands(buckets: dict[str, tuple[float, float]], counts: tuple[int, ...]) -> None:
    (metric,) = read(histogram("h", buckets, (0, 9))).metrics
    (point,) = metric.data.data_points

    assert (point.count, point.bucket_counts) == (9, counts)


def test_a_bucket_under_another_spelling_is_the_same_bucket() -> None:
    """Prometheus 3 writes 1.0 where 2 wrote 1: the one series ends in the interval, the other begins."""
    found = histogram("h", {"1": (4, 6), "+Inf": (5, 9)}, (5, 30))
    found.append(series("h_bucket", (-50, 6), (-5, 8), le="1.0"))
    (metric,) = read(found).metrics
    (point,) = metric.data.data_points

    assert (point.explicit_bounds, point.bucket_counts) == ((1,), (4, 0))


@pytest.mark.parametrize("value", [math.inf, math.nan, 1e-9])
def test_what_is_no_count_gives_no_row_and_no_error(value: float) -> None:
    """A recorded rate may look like a histogram, and a gauge may have any value."""
    assert rows(read(histogram("h", {"1": (0, value), "+Inf": (0, value)}), 0.5)) == {}


@pytest.mark.parametrize("le", ["-Inf", "NaN", "wide", ""])
def test_a_bucket_without_a_bound_is_none(le: str) -> None:
    found = [*histogram("h", FOUR, (100, 117)), series("h_bucket", (-65, 0), (-5, 90), **({"le": le} if le else {}))]

    assert rows(read(found)) == {"h": [(TARGET, (7, 17, 0, 5))]}


# -- several -----------------------------------------------------------------------------------------------------------


def test_several_are_pooled_with_the_bounds_that_all_have() -> None:
    found = [
        *histogram("h", {"1": (0, 1), "2": (0, 2), "5": (0, 4), "+Inf": (0, 5)}, (0, 20), model="a"),
        *histogram("h", {"2": (0, 3), "5": (0, 3), "9": (0, 3), "+Inf": (0, 3)}, (0, 4), model="b"),
    ]
    (metric, quantile) = read(found, 0.5, by=[]).metrics
    (point,) = metric.data.data_points

    assert (point.count, point.sum, point.min, point.max) == (8, 24, 0, 5)
    assert (point.explicit_bounds, point.bucket_counts) == ((2, 5), (5, 2, 1))
    assert quantile.data.data_points[0].value == 2 * 4 / 5


def test_each_is_told_by_all_its_labels_but_the_bound() -> None:
    found = [*histogram("h", FOUR, model="a"), *histogram("h", FOUR, model="b")]

    assert [row[0] for row in rows(read(found))["h"]] == [{**TARGET, "model": "a"}, {**TARGET, "model": "b"}]


def test_a_glob_of_histograms_means_none_of_the_summaries_and_counters() -> None:
    found = [
        *histogram("x_h", FOUR, (100, 117)),
        *histogram("x:tokens_total", FOUR, (100, 117)),  # as vLLM names one
        series("x_summary_sum", (-65, 0), (-5, 9)),
        series("x_summary_count", (-65, 0), (-5, 9)),
        series("x_total", (-65, 0), (-5, 9)),
        series("x_s3_bucket", (-65, 0), (-5, 9)),
    ]
    selection = select({"metric": "x*", "mode": "histogram", "quantiles": [0.5]})

    assert list(values_by_name(translated(selection, found))) == [
        "x_tokens_total", "x_tokens_total_p50", "x_h", "x_h_p50",
    ]  # fmt: skip


def values_by_name(reading: Reading) -> dict[str, object]:
    return dict(rows(reading))


def test_its_sum_and_count_may_be_sent_beside_it() -> None:
    selection = select(
        {"metric": "h", "mode": "histogram"},
        {"metric": "h_count", "mode": "increase"},
        {"metric": "h_sum", "mode": "rate"},
    )
    reading = translated(selection, histogram("h", FOUR, (100, 117)))

    assert values(type(reading)(reading.metrics[1:], 0, (), {}, {})) == {"h_count": [7], "h_sum": [17 / 60]}
