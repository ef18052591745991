"""Many values as one: aggregates as PromQL's, statistics of an interval's scrapes, and what of them collapses."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum

from bridge.points import Series
from bridge.telemetry import Reading
from tests.unit.telemetry.answers import rows, select, series, translated

NAN, INF = math.nan, math.inf


def three(*found: float) -> list[Series]:
    """Series of the models a, b, c …; each with one value."""
    return [series("m", (-5, value), model=model) for model, value in zip("abcdef", found, strict=False)]


@pytest.mark.parametrize(
    ("aggregate", "found", "row"),
    [
        ("sum", (1, 2, 4), 7),
        ("avg", (1, 2, 6), 3),
        ("min", (3, -1, 2), -1),
        ("max", (3, -1, 2), 3),
        ("min", (3, NAN, 2), 2),
        ("max", (NAN, NAN, 2), 2),
    ],
)
def test_what_collapses_is_aggregated_as_promql_does(aggregate: str, found: tuple[float, ...], row: float) -> None:
    selection = select({"metric": "m", "by": [], "aggregate": aggregate})

    assert rows(translated(selection, three(*found))) == {"m": [({}, row)]}


@pytest.mark.parametrize(
    ("aggregate", "found"),
    [
        ("sum", (1, NAN)),
        ("avg", (1, NAN)),
        ("sum", (INF, -INF)),
        ("sum", (1e308, 1e308)),
        ("min", (NAN, NAN)),
        ("max", (INF, 1)),
    ],
)
def test_an_aggregate_that_is_not_finite_is_counted_as_one_row(aggregate: str, found: tuple[float, ...]) -> None:
    reading = translated(select({"metric": "m", "by": [], "aggregate": aggregate}), three(*found))

    assert (reading.metrics, reading.read, reading.not_finite) == ((), 1, {"m": 1})


def test_a_group_is_told_by_the_labels_that_it_keeps() -> None:
    found = [
        series("m", (-5, 1), model="a", gpu_uuid="1"),
        series("m", (-5, 2), model="a", gpu_uuid="2"),
        series("m", (-5, 4), model="b"),
        series("m", (-5, 8)),
    ]
    target = {"job": "triton", "instance": "t:8002"}

    assert rows(translated(select({"metric": "m", "by": ["model"], "aggregate": "sum"}), found)) == {
        "m": [({}, 8), ({"model": "a"}, 3), ({"model": "b"}, 4)]
    }
    assert rows(translated(select({"metric": "m", "without": ["model"], "aggregate": "sum"}), found)) == {
        "m": [({**target, "gpu_uuid": "1"}, 1), ({**target, "gpu_uuid": "2"}, 2), (target, 12)]
    }


def test_gains_are_taken_before_they_are_grouped() -> None:
    """A sum over models would fall when one begins anew, and seem to begin anew itself."""
    found = [
        series("m", (-65, 100), (-5, 130), model="a"),
        series("m", (-65, 100), (-5, 3), model="b"),
    ]

    assert rows(translated(select({"metric": "m", "mode": "increase", "by": []}), found)) == {"m": [({}, 33)]}
    assert rows(translated(select({"metric": "m", "mode": "rate", "by": []}), found)) == {"m": [({}, 33 / 60)]}
    assert rows(translated(select({"metric": "m", "mode": "irate", "by": []}), found)) == {"m": [({}, 33 / 60)]}


def test_only_sums_of_gains_add_up_over_time() -> None:
    found = [series("m", (-65, 0), (-5, 6), model=model) for model in "ab"]

    def kind(**entry: object) -> type:
        return type(translated(select({"metric": "m", **entry}), found).metrics[0].data)

    assert kind(mode="increase") is Sum
    assert kind(mode="increase", by=[]) is Sum
    assert kind(mode="increase", by=[], aggregate="max") is Gauge
    assert kind(mode="rate", by=[]) is Gauge
    assert kind() is Gauge
    assert kind(mode="stats") is Histogram


def test_a_sum_is_the_same_in_any_order() -> None:
    """Prometheus' answers have none, and 0.1 + 0.2 + 0.3 is not 0.3 + 0.2 + 0.1."""
    for order in ((0.1, 0.2, 0.3), (0.3, 0.2, 0.1)):
        assert rows(translated(select({"metric": "m", "by": [], "aggregate": "sum"}), three(*order))) == {
            "m": [({}, 0.6)]
        }


# -- statistics --------------------------------------------------------------------------------------------------------


def test_statistics_are_those_of_all_scrapes_in_the_interval() -> None:
    """The sample at its left edge belongs to the one before, that at its end to it; NaN says nothing."""
    found = series("m", (-75, 900), (-60, 700), (-45, 3), (-30, NAN), (-15, -1), (0, 9), model="a")

    assert rows(translated(select({"metric": "m", "mode": "stats", "by": ["model"]}), [found])) == {
        "m": [({"model": "a"}, (3, 11, -1, 9))]
    }


def test_a_spike_between_two_cycles_shows_as_the_greatest_value() -> None:
    found = series("m", (-45, 1), (-30, 500), (-15, 1), (0, 1))
    ((_, (row,)),) = rows(translated(select({"metric": "m", "mode": "stats"}), [found])).items()

    assert row[1] == (4, 503, 1, 500)


def test_scrapes_that_hold_no_number_are_one_row_that_is_not_finite() -> None:
    found = [
        series("m", (-15, NAN), (0, NAN), model="nothing"),
        series("m", (-15, INF), (0, 1), model="infinite"),
        series("m", (-15, INF), (0, -INF), model="both"),
        series("m", (-15, 1e308), (0, 1e308), model="too great"),
        series("m", (-75, 1), model="gone"),
    ]
    reading = translated(select({"metric": "m", "mode": "stats"}), found)

    assert (reading.metrics, reading.read, reading.not_finite) == ((), 4, {"m": 4})


def test_statistics_of_a_group_are_those_of_all_its_samples() -> None:
    found = [
        series("m", (-15, 1), (0, 3), model="a"),
        series("m", (0, -2), model="b"),
        series("m", (0, NAN), model="c"),
    ]

    assert rows(translated(select({"metric": "m", "mode": "stats", "by": []}), found)) == {"m": [({}, (3, 2, -2, 3))]}
    assert translated(select({"metric": "m", "mode": "stats", "by": []}), found[2:]).not_finite == {"m": 1}


# -- order -------------------------------------------------------------------------------------------------------------


def _told(reading: Reading) -> object:
    return rows(reading), reading.read, reading.not_finite, reading.left_out, reading.absent


MIXED = select(
    "m",
    {"metric": "m", "mode": "increase", "name": "gain", "by": []},
    {"metric": "m", "mode": "rate", "name": "rate", "by": []},
    {"metric": "m", "mode": "stats", "name": "stats", "by": []},
    {"metric": "m", "name": "avg", "by": ["model"], "aggregate": "avg"},
    {"metric": "h*", "mode": "histogram", "quantiles": [0.5]},
    {"metric": "h0", "mode": "histogram", "name": "all", "quantiles": [0.5], "by": []},
    {"metric": "*"},
)
NUMBERS = st.floats(0, 1e9) | st.sampled_from([NAN, INF, 1e308, 1e308, 5e-324])


BOUNDS = st.sampled_from(["1", "1.0", "2", "-Inf", "NaN", "x", "+Inf"])


@given(
    st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from(["m", "h0_count", "h0_sum", "h1_count"])), max_size=12),
    st.dictionaries(st.tuples(st.integers(0, 3), BOUNDS), st.tuples(NUMBERS, NUMBERS), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_series_never_matters_and_nothing_they_hold_is_an_error(
    found: list[tuple[float, float, str]],
    buckets: dict[tuple[int, str], tuple[float, float]],
    random: Random,
) -> None:
    """Of an answer of any order, with anything in it: the same rows, each of them finite."""
    answer = [
        *(series(name, (-65, a), (-5, b), model="abc"[n % 3], n=str(n)) for n, (a, b, name) in enumerate(found)),
        *(series("h0_bucket", (-65, a), (-5, b), le=le, n=str(n)) for (n, le), (a, b) in buckets.items()),
    ]
    shuffled = random.sample(answer, len(answer))

    reading = translated(MIXED, answer)

    assert _told(reading) == _told(translated(MIXED, shuffled))
    sent = [number for told in rows(reading).values() for _, value in told for number in _numbers(value)]
    assert all(math.isfinite(number) for number in sent)


def _numbers(value: object) -> list[float]:
    return [number for number in (value if isinstance(value, tuple) else (value,)) if number is not None]
