"""What a counter gained, and its rate: sample by sample, whatever befell it."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import AggregationTemporality, Sum

from bridge.points import Series, identity
from bridge.telemetry import Answers, Cut, latest_before, orphans, scraped, translate
from tests.unit.telemetry.answers import CUT, INTERVAL, LOOKBACK, T, computed, select, series, values, written


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
    assert computed("irate", (-30, 0), (-15, 30), (0.001, 900)) == [2]  # after T
    assert computed("irate", (-45, 0), (-30, math.nan), (-15, 60), (0, math.nan)) == [2]


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
