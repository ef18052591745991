"""From Prometheus' answers to OpenTelemetry metrics: what is counted, what is left out, what is said of it."""

import io
import json
import math
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    Gauge,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from bridge.points import Series
from bridge.selection import Selection, parse
from bridge.telemetry import Answers, Cut, Reading, identity, latest_before, orphans, scraped, translate

T = 1_700_000_040.0
INTERVAL = 60.0
LOOKBACK = 30.0
CUT = Cut(T - INTERVAL, T, INTERVAL)
UP = Series({"__name__": "up", "job": "triton", "instance": "t:8002"}, [(T - 50, "1"), (T - 5, "1")])


def select(*metrics: object) -> Selection:
    return parse(json.dumps({"customMetrics": list(metrics)}))


def written(value: float) -> str:
    """A value as Prometheus writes it."""
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(repr(value), repr(value))


def series(name: str, *samples: tuple[float, float], **labels: str) -> Series:
    """A series of the target ``t:8002``; the times are seconds before (negative) or after T."""
    target = {"__name__": name, "job": "triton", "instance": "t:8002"}
    return Series({**target, **labels}, [(T + t, written(v)) for t, v in samples])


def values(reading: Reading) -> dict[str, list[float]]:
    return {metric.name: [point.value for point in metric.data.data_points] for metric in reading.metrics}


def computed(mode: str, *samples: tuple[float, float], up: Sequence[tuple[float, float]] = ()) -> list[float]:
    """The rows of one series in a mode that is computed from raw samples; ``up`` as times before T and values."""
    found = series("m", *samples)
    before = latest_before(found, CUT)
    answers = Answers(
        samples=[series("m", *(sample for sample in samples if sample[0] > -INTERVAL - LOOKBACK - 1))],
        up=[series("up", *up)],
        history={identity(found.labels): before} if before else {},
    )
    reading = translate(select({"metric": "m", "mode": mode}), answers, CUT, max_series=100)
    return values(reading).get("m", [])


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


# -- too many ----------------------------------------------------------------------------------------------------------


def test_above_the_limit_the_largest_metric_is_left_out_whole_and_named() -> None:
    small = [series("small", (0, 1), i=str(i)) for i in range(3)]
    large = [series("large", (0, 1), i=str(i)) for i in range(4)]
    reading = translate(select("small", "large"), Answers(values=small + large), CUT, max_series=6)

    assert reading.series == {"small": 3}
    assert (reading.read, reading.left_out) == (7, {"large": 4})


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 40))
def test_read_is_what_is_sent_plus_what_is_not(sizes: list[int], limit: int) -> None:
    names = [f"m{i}" for i in range(len(sizes))]
    found = [
        series(name, (0, math.nan if i % 4 == 3 else 1.0), i=str(i))
        for name, size in zip(names, sizes, strict=True)
        for i in range(size)
    ]
    reading = translate(select(*names), Answers(values=found), CUT, max_series=limit)

    sent = sum(reading.series.values())
    assert reading.read == sent + sum(reading.not_finite.values()) + sum(reading.left_out.values())
    assert sent <= limit


# -- gains -------------------------------------------------------------------------------------------------------------


def test_an_increase_is_a_monotonic_delta_sum_over_the_interval() -> None:
    answers = Answers(samples=[series("m", (-65, 1), (-5, 4))])
    (metric,) = translate(select({"metric": "m", "mode": "increase"}), answers, CUT, max_series=9).metrics

    assert isinstance(metric.data, Sum)
    assert (metric.data.aggregation_temporality, metric.data.is_monotonic) == (AggregationTemporality.DELTA, True)
    (point,) = metric.data.data_points
    assert point.time_unix_nano - (point.start_time_unix_nano or 0) == INTERVAL * 10**9


@pytest.mark.parametrize(
    ("samples", "gain"),
    [
        ([(-75, 90), (-60, 100), (-45, 110), (-30, 120), (-15, 130), (0, 140)], 40),
        ([(-75, 90), (-60, 100), (-45, 110), (-30, 5), (-15, 15), (0, 35)], 45),
        ([(-75, 1000), (-60, 1030), (-45, 5), (-30, 10), (-15, 15), (0, 20)], 20),
        ([(-75, 1_000_000), (-45, 1_000_020), (-30, 1_000_030), (-15, 1_000_040), (0, 1_000_050)], 50),
        ([(-60, 10), (-45, 4), (-30, 9), (-15, 20), (0, 30)], 30),
        ([(-60, 10), (-45, 15), (-30, 4), (-15, 20), (0, 30)], 35),
        ([(-60, 10), (-45, 1), (-30, 2), (-15, 1), (0, 2)], 4),
        ([(-60, 100), (-45, 301), (-30, 310)], 210),
        ([(-60, 5), (-45, math.nan), (-30, 8), (0, math.nan)], 3),
        ([(-60, 5), (-45, 5), (0, 5)], 0),
    ],
    ids=[
        "steady",
        "a reset inside",
        "a reset at the left edge",
        "the scrape at the left edge missed",
        "a reset at the first sample",
        "a reset, then past the old value",
        "two resets",
        "unloaded before T",
        "NaN is passed over",
        "idle is zero, not nothing",
    ],
)
def test_the_increase_is_the_sum_of_the_steps(samples: list[tuple[float, float]], gain: float) -> None:
    assert computed("increase", *samples) == [gain]


def test_a_sample_at_t_belongs_to_t_and_one_at_the_left_edge_does_not() -> None:
    assert computed("increase", (-60, 1), (0, 3)) == [2]
    assert computed("increase", (-60.001, 1), (-60, 5), (0.001, 9)) == []


def test_a_new_series_of_a_known_target_counts_from_zero() -> None:
    assert computed("increase", (-20, 11), (-5, 15), up=[(-35, 1), (-20, 1), (-5, 1)]) == [15]


def test_a_new_series_of_a_new_target_starts_at_a_base_line() -> None:
    assert computed("increase", (-20, 11), (-5, 15), up=[(-20, 1), (-5, 1)]) == [4]
    assert computed("increase", (-5, 15), up=[(-20, 0), (-5, 1)]) == [0]


def test_two_paths_of_one_target_tell_together_whether_it_was_up() -> None:
    found = series("m", (-20, 11), (-5, 15))
    up = [series("up", (-35, 1), (-20, 1), path="/metrics"), series("up", (-20, 1), path="/other")]
    reading = translate(select({"metric": "m", "mode": "increase"}), Answers(samples=[found], up=up), CUT, max_series=9)

    assert values(reading) == {"m": [15]}


def test_a_sample_up_to_an_hour_before_is_where_the_gain_begins() -> None:
    assert computed("increase", (-3000, 100), (-5, 130)) == [30]


def test_a_counter_that_went_to_infinity_is_counted_as_not_finite() -> None:
    found = series("m", (-65, 1), (-5, math.inf))
    reading = translate(select({"metric": "m", "mode": "increase"}), Answers(samples=[found]), CUT, max_series=9)

    assert (reading.metrics, reading.not_finite) == ((), {"m": 1})


def test_the_rate_is_the_gain_over_the_time_it_took() -> None:
    assert computed("rate", (-75, 0), (-15, 30)) == [0.5]
    assert computed("rate", (-20, 11), (-5, 15), up=[(-35, 1), (-20, 1), (-5, 1)]) == [0.5]


def test_a_base_line_alone_has_no_rate() -> None:
    assert computed("rate", (-5, 15)) == []


def test_the_instant_rate_is_the_last_step_per_second() -> None:
    assert computed("irate", (-45, 0), (-30, 50), (-15, 80)) == [2]
    assert computed("irate", (-30, 1000), (-15, 30)) == [2]  # a reset counts from zero


def test_the_instant_rate_ends_with_up() -> None:
    assert computed("irate", (-45, 0), (-30, 50), up=[(-30, 1), (-15, 0)]) == []
    assert computed("irate", (-45, 0), (-30, 50), up=[(-45, 0), (-30, 1)]) == [50 / 15]


def test_an_instant_rate_that_is_too_old_gives_no_row() -> None:
    assert computed("irate", (-75, 0), (-60, 50)) == []


def test_history_is_asked_for_series_that_gained_from_nothing_known() -> None:
    selection = select({"metric": "m", "mode": "increase"}, {"metric": "i", "mode": "irate"})
    new, known = series("m", (-5, 3), model="new"), series("m", (-65, 1), (-5, 3), model="known")
    gone, instant = series("m", (-65, 1), model="gone"), series("i", (-5, 1))

    assert orphans([new, known, gone, instant], selection, CUT) == [new.labels]


def test_prometheus_scraped_if_up_has_a_sample_in_the_interval() -> None:
    assert scraped([series("up", (-59.9, 0))], CUT)
    assert scraped([series("up", (0, 1))], CUT)
    assert not scraped([series("up", (-60, 1), (0.1, 1))], CUT)
    assert not scraped([], CUT)


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Raw samples of a counter and of its ``up``, over up to twenty minutes of scrapes that may fail or be missed."""
    start = T - 1200
    samples, ups = [], []
    value = float(draw(st.integers(0, 1000)))
    events = draw(
        st.lists(
            st.tuples(
                st.sampled_from([15.0, 15.0, 15.0, 14.993, 15.007, 45.0, 200.0]),
                st.sampled_from(["ok"] * 8 + ["reset", "down", "absent", "nan"]),
                st.integers(0, 500),
            ),
            min_size=1,
            max_size=80,
        ),
    )
    for wait, event, step in events:
        start = round(start + wait, 3)
        if start > T:
            break
        value = float(step) if event == "reset" else value + step
        ups.append((start, 0.0 if event == "down" else 1.0))
        if event in {"ok", "reset"}:
            samples.append((start, value))
        elif event == "nan":
            samples.append((start, math.nan))
    return samples, ups


@given(lives(), st.sampled_from([30.0, 60.0, 75.0]))
def test_cycle_by_cycle_the_gains_are_what_the_raw_samples_gained(
    life: tuple[list[tuple[float, float]], list[tuple[float, float]]],
    interval: float,
) -> None:
    samples, ups = life
    labels, selection = {"__name__": "m"}, select({"metric": "m", "mode": "increase"})

    def between(what: list[tuple[float, float]], start: float, end: float) -> list[tuple[float, str]]:
        return [(t, written(v)) for t, v in what if start < t <= end]

    total = 0.0
    time = math.floor((T - 1260) / interval) * interval
    while time < T + interval:
        time += interval
        cut = Cut(time - interval, time, interval)
        answers = Answers(
            samples=[Series(labels, found)]
            if (found := between(samples, time - interval - LOOKBACK - 1, time))
            else [],
            up=[Series({"__name__": "up"}, between(ups, time - interval - 1, time))],
        )
        if orphans(answers.samples, selection, cut):
            before = latest_before(Series(labels, between(samples, time - interval - 3601, time)), cut)
            answers = Answers(
                samples=answers.samples,
                up=[Series({"__name__": "up"}, between(ups, time - interval - 3601, time))],
                history={identity(labels): before} if before else {},
            )
        reading = translate(selection, answers, cut, max_series=9)
        total += sum(sum(found) for found in values(reading).values())

    known = [(t, v) for t, v in samples if not math.isnan(v)]
    truth = 0.0
    if known and any(t < known[0][0] and value == 1 for t, value in ups):
        truth += known[0][1]
    for (_, last), (_, value) in pairwise(known):
        truth += value - last if value >= last else value
    assert total == truth


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
