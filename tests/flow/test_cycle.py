"""One turn of the spine, from Prometheus' answers to the rows that Application Insights would hold."""

import math
import threading
from datetime import datetime, timezone

import pytest

from bridge.backlog import Backlog
from bridge.cycle import Patience
from bridge.cycle.posting import Posting
from bridge.points import Batch, Condition, Outcome, Receipt, Series, Settlement
from tests.flow.conftest import INTERVAL, Bridge, MakeBridge, T
from tests.scripted.clock import Clock

FAILED = (503, b"not now")


def test_a_value_arrives_with_its_dimensions_at_t(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m")
    bridge.prometheus.add("m", [(T - 5, 2.5)], model="bert", quantile="0.5")

    report = bridge.run()

    (row,) = bridge.rows("m")
    assert (row["valueSum"], row["valueCount"]) == (2.5, 1)
    assert row["customDimensions"] == {
        "model": "bert",
        "quantile": "0.5",
        "job": "triton",
        "instance": "triton-0:8002",
    }
    assert datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00")) == datetime.fromtimestamp(T, timezone.utc)
    assert (report.settlement, report.outcomes[Outcome.ACCEPTED]) == (Settlement.SETTLED, 1)
    assert bridge.counted(Outcome.ACCEPTED) == 1


def test_an_increase_arrives_as_what_the_raw_samples_gained(make_bridge: MakeBridge) -> None:
    bridge = make_bridge({"metric": "c", "mode": "increase"})
    bridge.prometheus.add("c", [(T - 75, 7), (T - 45, 9), (T - 30, 2), (T - 15, 6)])

    bridge.run()

    assert [row["valueSum"] for row in bridge.rows("c")] == [8]


def test_it_is_asked_when_prometheus_clock_says_that_every_scrape_has_landed(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T - 20, settle_delay=2.0)
    bridge.prometheus.scrape_timeout = "10s"
    bridge.prometheus.add("m", [(T - 5, 1)])

    bridge.run()

    assert bridge.clock.slept == [31.0]


def test_a_cycle_that_is_far_from_due_is_not_begun(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T - 300)

    assert bridge.cycle.run(T) is None


def test_a_grid_time_is_due_when_prometheus_clock_has_passed_the_settle_delay(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 4.9)

    assert bridge.cycle.newest(bridge.cycle.now()) == T - INTERVAL
    bridge.clock.sleep(0.1)
    assert bridge.cycle.newest(bridge.cycle.now()) == T


def test_what_is_settled_is_not_posted_again(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 5)
    bridge.prometheus.add("m", [(T - 5, 1)])
    bridge.run()

    assert bridge.cycle.run(T) is None
    assert len(bridge.rows("m")) == 1


def test_where_prometheus_scraped_nothing_there_is_no_data_and_nothing_is_posted(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", scraped=False)
    bridge.prometheus.scrape([T - 61, T + 1])
    bridge.prometheus.add("m", [(T - 61, 1)])  # Prometheus' lookback would still show it
    bridge.prometheus.lookback = 300

    report = bridge.run()

    assert report.settlement is Settlement.NO_DATA
    assert bridge.sandbox.posts() == []


def test_a_target_that_is_down_is_data_without_points(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", scraped=False)
    bridge.prometheus.scrape([T - 45, T - 15], up=0)

    report = bridge.run()

    assert (report.settlement, report.read) == (Settlement.SETTLED, 0)


def test_a_value_older_than_the_age_limit_is_not_sent(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m")
    bridge.prometheus.lookback = 300
    bridge.prometheus.add("m", [(T - 61, 1)], model="old")
    bridge.prometheus.add("m", [(T - 59, 2)], model="young")

    bridge.run()

    assert [row["customDimensions"]["model"] for row in bridge.rows("m")] == ["young"]


def test_a_new_series_of_a_known_target_counts_from_zero(make_bridge: MakeBridge) -> None:
    bridge = make_bridge({"metric": "c", "mode": "increase"})
    bridge.prometheus.add("c", [(T - 15, 11), (T, 12)], model="loaded just now")

    bridge.run()

    assert [row["valueSum"] for row in bridge.rows("c")] == [12]
    assert [expr.partition(",")[0] for expr in bridge.prometheus.asked if "1h1m1s" in expr] == [
        "up{}[1h1m1s]",
        '{__name__=~"c"',
    ]


def test_one_bad_query_holds_up_no_other(make_bridge: MakeBridge) -> None:
    bridge = make_bridge({"query": "sum(", "name": "bad"}, {"query": "good()", "name": "good"}, "m")
    bridge.prometheus.expressions["good()"] = [{"metric": {"model": "a"}, "value": [T, "3"]}]
    bridge.prometheus.add("m", [(T - 5, 1)])

    report = bridge.run()

    assert sorted(row["name"] for row in bridge.sandbox.rows()) == ["good", "m"]
    assert report.problems == ("metrics.json: customMetrics[0].query: Prometheus answered 400: 1:1: parse error: sum(",)


def test_what_is_not_finite_is_counted_and_the_rest_arrives(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m")
    bridge.prometheus.add("m", [(T - 5, math.nan)], quantile="0.5")
    bridge.prometheus.add("m", [(T - 5, math.inf)], quantile="0.9")
    bridge.prometheus.add("m", [(T - 5, 4)], quantile="0.99")

    report = bridge.run()

    assert [row["value"] for row in bridge.rows("m")] == [4]
    assert (report.read, report.outcomes[Outcome.NOT_FINITE]) == (3, 2)


@pytest.mark.parametrize(
    "spoilt",
    [
        (200, b'{"status": "success", "data": {"resultType": "string", "result": [0, "hello"]}}'),
        (200, b'{"status": "success", "data": {"resultType": "vector", "result": []}, "warnings": ["quantile 2"]}'),
        (503, b'{"status": "error", "error": "query timed out in expression evaluation"}'),
        (200, b"<html>log in</html>"),
    ],
    ids=["no number", "a warning for ever", "too slow for ever", "a proxy's page"],
)
def test_a_query_that_never_answers_well_holds_up_no_other(make_bridge: MakeBridge, spoilt: tuple[int, bytes]) -> None:
    bridge = make_bridge("m", {"query": "slow()", "name": "slow"}, now=T + 10)
    bridge.prometheus.add("m", [(T - 5, 1)])
    # targets, time, up, flags and m are answered; what follows is the query.
    bridge.prometheus.failures = [None] * 5 + [spoilt] * 100

    report = bridge.run()

    assert (report.settlement, len(bridge.rows("m"))) == (Settlement.SETTLED, 1)
    assert report.problems[0].startswith("metrics.json: customMetrics[1].query: ")


def test_queries_that_are_slow_leave_time_to_post_all_other_points(
    make_bridge: MakeBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [{"query": f"slow({n})", "name": f"slow{n}"} for n in range(12)]
    bridge = make_bridge(*queries, "m", now=T + 5)
    bridge.prometheus.add("m", [(T - 5, 1)])
    source = bridge.cycle._asking._source
    ask = source.ask

    def slow(expr: str, at: float) -> list[Series]:
        bridge.clock.sleep(10 if expr.startswith("slow") else 0)
        return ask(expr, at)

    monkeypatch.setattr(source, "ask", slow)
    report = bridge.run()

    assert (report.settlement, len(bridge.rows("m"))) == (Settlement.SETTLED, 1)
    assert bridge.clock.now < T + INTERVAL
    assert "not asked: those before it took half of the time" in report.problems[-1]


def test_after_the_deadline_nothing_is_asked(make_bridge: MakeBridge) -> None:
    """A repair must end before the next alarm, however slow Prometheus is."""
    bridge = make_bridge("m", now=T + 5)
    gap = bridge.backlog.gap(T)
    assert gap
    report = bridge.cycle.repair(gap, bridge.cycle.patience.monotonic())

    assert (report.settlement, bridge.prometheus.asked) == (Settlement.WAITING, [])
    assert "no time was left to ask" in report.problems[0]


def test_a_query_that_gives_a_range_is_refused(make_bridge: MakeBridge) -> None:
    bridge = make_bridge({"query": "m[5m]", "name": "range"})
    bridge.prometheus.expressions["m[5m]"] = [{"metric": {}, "values": [[T - 1, "1"], [T, "2"]]}]

    report = bridge.run()

    assert bridge.sandbox.rows() == []
    assert "wrap it in a function" in report.problems[0]


def test_metrics_of_which_nothing_is_there_are_named(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", "misspelt", {"metric": "gone", "mode": "rate"})
    bridge.prometheus.add("m", [(T - 5, 1)])

    report = bridge.run()
    assert (report.absent, report.problems) == (("misspelt", "gone"), ())


def test_where_something_is_missing_the_targets_that_are_down_are_named(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", "gone")
    bridge.prometheus.add("m", [(T - 5, 1)])
    for number in range(5):
        down = {"job": "pods", "instance": f"pod-{number}"}
        bridge.prometheus.add("up", [(T - 20, 1), (T - 5, 0)], **down)

    assert bridge.run().problems == (
        "target pods pod-0 is down",
        "target pods pod-1 is down",
        "target pods pod-2 is down",
        "and 2 more",
    )


def test_where_nothing_is_missing_no_target_matters(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m")
    bridge.prometheus.add("m", [(T - 5, 1)])
    bridge.prometheus.add("up", [(T - 5, 0)], job="pods", instance="other")

    assert bridge.run().problems == ()


def test_matchers_that_up_does_not_bear_do_not_make_it_no_data(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", match='model="bert"')
    bridge.prometheus.add("m", [(T - 5, 1)], model="bert")
    bridge.prometheus.expressions['up{model="bert"}[1m1s]'] = []

    assert bridge.run().settlement is Settlement.SETTLED


# -- Prometheus fails --------------------------------------------------------------------------------------------------


def test_a_prometheus_that_comes_back_in_time_is_asked_again(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m")
    bridge.prometheus.add("m", [(T - 5, 1)])
    bridge.prometheus.failures = [FAILED, FAILED, None, FAILED]

    report = bridge.run()

    assert (report.settlement, len(bridge.rows("m"))) == (Settlement.SETTLED, 1)


def test_a_prometheus_that_stays_away_makes_a_gap_that_is_told(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m")
    bridge.prometheus.failures = [FAILED] * 1000

    report = bridge.run()

    assert (report.settlement, report.read) == (Settlement.WAITING, 0)
    assert report.problems == ("Prometheus answered 503: Service Unavailable",)
    assert bridge.clock.now <= T + INTERVAL


def test_an_answer_with_warnings_counts_as_none(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 10)
    partial = b'{"status": "success", "data": {"resultType": "vector", "result": []}, "warnings": ["a store is away"]}'
    bridge.prometheus.failures = [None, None, *[(200, partial)] * 1000]

    report = bridge.run()

    assert report.settlement is Settlement.WAITING
    assert "a store is away" in report.problems[0]


def test_a_prometheus_without_targets_and_flags_is_asked_all_the_same(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 10)
    bridge.prometheus.add("m", [(T - 5, 1)])
    unknown = (404, b"404 page not found")
    bridge.prometheus.failures = [unknown, None, None, unknown]

    bridge.run()

    assert len(bridge.rows("m")) == 1
    assert 'last_over_time({__name__=~"m"}[1m])' in bridge.prometheus.asked


# -- Application Insights fails ----------------------------------------------------------------------------------------


def test_a_throttling_service_is_obeyed_within_the_cycle(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 5)
    bridge.prometheus.add("m", [(T - 5, 1)])
    bridge.sandbox.script([{"status": 429, "retry_after": 7}])

    report = bridge.run()

    assert report.settlement is Settlement.SETTLED
    assert bridge.clock.now == pytest.approx(T + 12, abs=1.0)
    assert bridge.clock.now >= T + 12
    assert len(bridge.rows("m")) == 1


def test_a_service_that_fails_until_the_next_cycle_makes_a_gap_that_is_told(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 5)
    bridge.prometheus.add("m", [(T - 5, 1)])
    bridge.sandbox.script([{"status": 500, "times": 1000}])

    report = bridge.run()

    assert (report.settlement, report.condition) == (Settlement.WAITING, Condition.UNREACHABLE)
    assert report.outcomes[Outcome.WAITING] == 1
    assert report.problems[0]
    assert bridge.clock.now < T + INTERVAL + 5
    assert bridge.own("backlog_cycles") == 1


def test_the_next_cycle_is_delivered_when_the_service_is_back(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 5)
    bridge.prometheus.add("m", [(T - 5, 1), (T + 55, 2)])
    bridge.prometheus.scrape([T + 15, T + 30, T + 45, T + 60])
    bridge.sandbox.script([{"status": 503, "times": 1000}])
    bridge.run()
    bridge.sandbox.script([])
    bridge.clock.now = T + INTERVAL + 5

    report = bridge.run(T + INTERVAL)

    assert report.settlement is Settlement.SETTLED


def test_the_verdict_on_each_point_is_kept_apart(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 5)
    for model in "abc":
        bridge.prometheus.add("m", [(T - 5, 1)], model=model)
    bridge.sandbox.script(
        [{"items": {"0": {"status": 400, "message": "no such thing"}, "1": {"status": 500, "message": "busy"}}}],
    )

    report = bridge.run()

    assert (report.outcomes[Outcome.ACCEPTED], report.outcomes[Outcome.REJECTED]) == (2, 1)
    (rejection,) = report.rejections
    assert (rejection.metric, rejection.dimensions["model"], rejection.reason) == ("m", "a", "no such thing")
    assert sorted(row["customDimensions"]["model"] for row in bridge.rows("m")) == ["b", "c"]


def test_a_lost_reply_is_posted_again_and_said(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 5)
    bridge.prometheus.add("m", [(T - 5, 1)])
    bridge.sandbox.script([{"lost": True}])

    report = bridge.run()

    assert (report.outcomes[Outcome.ACCEPTED], report.possibly_repeated) == (1, 1)
    assert len(bridge.rows("m")) == 2


def test_more_series_than_the_limit_leave_out_the_largest_metric(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("small", "large", max_series=3)
    bridge.prometheus.add("small", [(T - 5, 1)])
    for i in range(4):
        bridge.prometheus.add("large", [(T - 5, 1)], i=str(i))

    report = bridge.run()

    assert (len(bridge.sandbox.rows()), report.left_out, report.outcomes[Outcome.LEFT_OUT]) == (1, {"large": 4}, 4)


# -- several batches ---------------------------------------------------------------------------------------------------


@pytest.fixture
def bridge_of_batches(make_bridge: MakeBridge, monkeypatch: pytest.MonkeyPatch) -> Bridge:
    """Six points in three batches."""
    monkeypatch.setattr("bridge.envelopes.MAX_POINTS", 2)
    bridge = make_bridge("m", now=T + 5)
    for model in "abcdef":
        bridge.prometheus.add("m", [(T - 5, 1)], model=model)
    return bridge


def models(bridge: Bridge) -> list[str]:
    return sorted(row["customDimensions"]["model"] for row in bridge.rows("m"))


def test_a_batch_that_fails_holds_up_no_other(bridge_of_batches: Bridge) -> None:
    bridge_of_batches.sandbox.script([{"status": 500}, {"pass": True}, {"pass": True}, {"status": 500, "times": 1000}])

    report = bridge_of_batches.run()

    assert models(bridge_of_batches) == ["c", "d", "e", "f"]
    assert (report.settlement, report.outcomes[Outcome.WAITING]) == (Settlement.WAITING, 2)
    assert report.condition is Condition.UNREACHABLE
    assert bridge_of_batches.counted(Outcome.ACCEPTED) == 4
    assert bridge_of_batches.own("waiting_points") == 2
    # A counter only goes up; what waits may yet be accepted.
    assert bridge_of_batches.counted(Outcome.WAITING) is None


def test_the_report_tells_of_what_waits_and_not_of_what_passed_last(bridge_of_batches: Bridge) -> None:
    bridge_of_batches.sandbox.script([{"status": 500}, {"pass": True}, {"pass": True}])
    bridge_of_batches.stop.set()

    report = bridge_of_batches.run()

    assert (report.settlement, report.condition) == (Settlement.WAITING, Condition.UNREACHABLE)
    assert "500" in report.problems[0]


def test_two_failures_in_a_row_spare_the_service_the_rest(bridge_of_batches: Bridge) -> None:
    bridge_of_batches.sandbox.script([{"status": 500, "times": 2}, {"pass": True}, {"pass": True}, {"pass": True}])

    report = bridge_of_batches.run()

    assert [post.status for post in bridge_of_batches.sandbox.posts()] == [500, 500, 200, 200, 200]
    assert (report.settlement, models(bridge_of_batches)) == (Settlement.SETTLED, list("abcdef"))


def test_a_throttled_batch_makes_the_others_wait_as_told(bridge_of_batches: Bridge) -> None:
    bridge_of_batches.sandbox.script([{"pass": True}, {"status": 429, "retry_after": 9}])

    report = bridge_of_batches.run()

    assert [post.status for post in bridge_of_batches.sandbox.posts()] == [200, 429, 200, 200]
    assert report.settlement is Settlement.SETTLED
    assert bridge_of_batches.clock.now >= T + 14
    assert models(bridge_of_batches) == list("abcdef")


# -- stopping ----------------------------------------------------------------------------------------------------------


def test_a_cycle_that_is_not_due_when_the_bridge_stops_is_not_begun(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T)
    bridge.stop.set()

    assert bridge.cycle.run(T) is None


def test_a_stopping_bridge_tries_no_longer_than_once(make_bridge: MakeBridge) -> None:
    bridge = make_bridge("m", now=T + 5)
    bridge.prometheus.add("m", [(T - 5, 1)])
    bridge.sandbox.script([{"status": 500, "times": 1000}])
    bridge.stop.set()

    report = bridge.run()

    assert (report.settlement, report.posts) == (Settlement.WAITING, 1)
    assert bridge.clock.now == T + 5


def limits_of_posts(batches: int, *, seconds: float, deadline: float, stop: threading.Event) -> list[float | None]:
    """The time-out that each post of a cycle is given by a service that takes so many seconds for one."""
    clock = Clock(0.0)
    given: list[float | None] = []

    class Slow:
        def paused(self) -> None:
            return None

        def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt:
            given.append(timeout)
            clock.sleep(seconds)
            return Receipt(accepted=batch.points)

    posting = Posting(Slow(), Patience(stop, clock=clock, monotonic=clock, sleep=clock.sleep))
    posting.deliver(Backlog(None).begin(0.0, 60.0, [Batch.pack([b"{}"])] * batches), deadline)
    return given


def test_all_posts_of_a_stopping_bridge_share_one_time_limit() -> None:
    """Four batches of a slow service must not take four times the limit."""
    stop = threading.Event()
    stop.set()

    assert limits_of_posts(4, seconds=3.0, deadline=1000.0, stop=stop) == [4.0, 1.0, -2.0, -5.0]


def test_a_post_that_is_begun_just_before_the_deadline_is_not_cut_by_us() -> None:
    """It may have arrived, and would be posted again. After the deadline none is begun."""
    assert limits_of_posts(3, seconds=9.9, deadline=10.0, stop=threading.Event()) == [10.0, 2.0, 0.0]
