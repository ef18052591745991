"""What waits: in which order it is worked on, what ends the work, and what nobody may be made to wait for."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.account import Gap
from bridge.backlog import Backlog
from bridge.points import Outcome, Report, Settlement
from bridge.repair import Repair
from tests.flow.conftest import INTERVAL, Bridge, MakeBridge, T

HOUR = 3600.0


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """The loop takes the garbage collector into its own hands."""
    yield
    gc.enable()


@pytest.fixture
def waiting(make_bridge: MakeBridge) -> Bridge:
    """Four grid times, from T on, of which nothing was asked for yet; it is the alarm of the last one, T + 180.

    The value of ``m`` is the number of the grid time.
    """
    return gaps(make_bridge("m", now=T + 3 * INTERVAL, scraped=False), 4)


def gaps(bridge: Bridge, number: int) -> Bridge:
    """Scrapes and a series ``m`` for so many grid times from T on."""
    samples = [(T + 15 * n, (n + 3) // 4) for n in range(-3, 4 * number - 3)]
    bridge.prometheus.add("m", samples)
    bridge.prometheus.scrape([time for time, _ in samples])
    return bridge


def values(bridge: Bridge) -> list[float]:
    return [row["value"] for row in bridge.rows("m")]


def test_the_newest_goes_first_then_the_oldest(waiting: Bridge) -> None:
    waiting.turns().turn()

    assert values(waiting) == [2, 3, 0, 1], "T + 120 was due already, and T + 180 is waited for"
    assert (waiting.own("backlog_cycles"), waiting.own("cycles_total", outcome="settled")) == (0, 4)


def test_where_the_newest_gets_nothing_through_nothing_else_is_tried(waiting: Bridge) -> None:
    loop = waiting.turns()
    waiting.sandbox.script([{"status": 503, "times": 1000}])
    loop.turn()

    assert waiting.own("backlog_cycles") == 4
    assert waiting.own("waiting_points") == 2, "T + 120 and T + 180 were read, and no other"
    assert waiting.own("backlog_oldest_timestamp_seconds") == T


def test_neither_is_it_by_a_turn_without_a_new_grid_time(waiting: Bridge) -> None:
    """The service may be back by then; but the next newest cycle is to be the first."""
    loop = waiting.turns()
    waiting.sandbox.script([{"status": 503, "times": 1000}])
    waiting.clock.now = T + 3 * INTERVAL + 10
    loop.turn()
    waiting.sandbox.script([])
    waiting.clock.now = T + 4 * INTERVAL - 10
    loop.turn()

    assert values(waiting) == []


def test_a_throttled_repair_waits_as_told_and_goes_on(waiting: Bridge) -> None:
    """The time that the service names binds the repair, and outlives the turn."""
    loop = waiting.turns()
    waiting.sandbox.script([{"pass": True}, {"pass": True}, {"status": 429, "retry_after": 100}])
    loop.turn()
    assert values(waiting) == [2, 3]
    posts = len(waiting.sandbox.posts())

    waiting.clock.now = T + 4 * INTERVAL
    loop.turn()
    assert len(waiting.sandbox.posts()) == posts, "not before T + 285"

    waiting.clock.now = T + 5 * INTERVAL
    loop.turn()
    assert values(waiting) == [2, 3, 0, 1]


def test_two_failures_in_a_row_end_the_repair_of_a_turn(make_bridge: MakeBridge) -> None:
    bridge = gaps(make_bridge("m", now=T + 5 * INTERVAL, scraped=False), 6)
    bridge.sandbox.script([{"pass": True}, {"pass": True}, {"status": 500, "times": 2}])
    loop = bridge.turns()
    loop.turn()

    assert values(bridge) == [4, 5]
    assert bridge.own("backlog_cycles") == 4


def test_what_always_fails_rests_and_holds_up_no_other(make_bridge: MakeBridge) -> None:
    """The two oldest can never be posted; all others are repaired in the next turn."""
    bridge = gaps(make_bridge("m", now=T + 5 * INTERVAL, scraped=False), 8)
    loop = bridge.turns()
    bridge.sandbox.script([{"pass": True}, {"pass": True}, {"status": 500, "times": 2}])
    loop.turn()
    bridge.clock.now = T + 6 * INTERVAL
    loop.turn()

    assert values(bridge) == [4, 5, 6, 2, 3]


def test_a_repair_ends_before_the_next_alarm(waiting: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that takes half a minute is begun where there is time for it, and Triton's rest after it ends in time."""
    repair, run, begun = waiting.cycle.repair, waiting.cycle.run, {}

    def slow(gap: Gap, deadline: float) -> Report:
        waiting.clock.sleep(30)
        return repair(gap, deadline)

    def told(time: float) -> Report | None:
        begun[time] = waiting.clock()
        return run(time)

    monkeypatch.setattr(waiting.cycle, "repair", slow)
    monkeypatch.setattr(waiting.cycle, "run", told)
    waiting.turns().turn()

    assert values(waiting)[:3] == [2, 3, 0]
    assert begun[T + 4 * INTERVAL] <= T + 4 * INTERVAL


def test_a_fault_of_the_bridge_in_one_part_holds_up_no_other(
    waiting: Bridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    repair = waiting.cycle.repair
    monkeypatch.setattr(waiting.cycle, "repair", lambda gap, until: 1 / 0 if gap.time == T else repair(gap, until))
    waiting.turns().turn()

    assert values(waiting) == [2, 3, 1]
    assert "a repair failed by a fault of the bridge itself" in caplog.text


def test_a_fault_in_the_middle_of_a_post_leaves_one_cycle_that_waits(
    waiting: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = waiting.turns()
    with monkeypatch.context() as broken:
        broken.setattr(waiting.delivery, "post", lambda *_, **__: 1 / 0)
        for _ in range(3):
            loop.turn()
    account = waiting.backlog.account
    assert account.cycles[Settlement.WAITING] == waiting.own("backlog_cycles")
    assert account.read == len(account.details), "not once more for each try"

    for minute in (4, 5, 6):
        waiting.clock.now = T + minute * INTERVAL
        loop.turn()
    assert {0, 1, 2, 3} == set(values(waiting))


def test_one_part_that_hung_does_not_end_all_repair(waiting: Bridge) -> None:
    repair = Repair(waiting.cycle)
    repair._seconds = 59.0

    assert len(list(repair.reports(T + 3 * INTERVAL, waiting.cycle.patience.monotonic() + 55))) == 4


def test_what_is_left_over_of_a_cycle_is_posted_as_it_was(
    make_bridge: MakeBridge, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Even where Prometheus has forgotten it meanwhile."""
    monkeypatch.setattr("bridge.envelopes.MAX_POINTS", 1)
    bridge = make_bridge("m", "n", now=T, folder=tmp_path)
    for name in ("m", "n"):
        bridge.prometheus.add(name, [(T - 5, 7), (T + 55, 8)])
    bridge.prometheus.scrape([T + 55])
    loop = bridge.turns()
    bridge.sandbox.script([{"pass": True}, {"status": 500, "times": 1000}])
    loop.turn()
    bridge.sandbox.script([])
    assert (bridge.own("backlog_cycles"), len(list(tmp_path.glob("*.json.gz")))) == (1, 1)

    bridge.prometheus.series = [
        (labels, [sample for sample in samples if sample[0] > T]) for labels, samples in bridge.prometheus.series
    ]
    bridge.clock.now = T + INTERVAL
    loop.turn()

    assert [row["value"] for row in bridge.rows("n")] == [8, 7]
    assert (bridge.own("backlog_cycles"), list(tmp_path.glob("*.json.gz"))) == (0, [])


def test_what_prometheus_keeps_no_longer_has_no_data(make_bridge: MakeBridge) -> None:
    bridge = gaps(make_bridge("m", now=T + 5 * INTERVAL, scraped=False), 6)
    bridge.prometheus.series = [
        (labels, [sample for sample in samples if sample[0] > T + 2 * INTERVAL])
        for labels, samples in bridge.prometheus.series
    ]
    bridge.turns().turn()

    assert values(bridge) == [4, 5, 3]
    assert bridge.own("cycles_total", outcome="no_data") == 3


# -- the limit ---------------------------------------------------------------------------------------------------------


def test_what_waits_for_longer_than_the_limit_expires_by_cycle(
    make_bridge: MakeBridge, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = gaps(make_bridge("m", now=T + 5 * INTERVAL, scraped=False), 6)
    loop = bridge.turns(limit=2.5 * INTERVAL)
    with caplog.at_level(logging.ERROR):
        loop.turn()

    assert values(bridge) == [4, 5, 3]
    assert bridge.own("cycles_total", outcome="expired") == 3
    assert "3 cycles expired: they waited for more than" in caplog.text


def test_nothing_expires_while_the_service_takes_nothing(make_bridge: MakeBridge) -> None:
    """Nothing is lost by waiting; and only a service that takes the newest grid time agrees with our clock."""
    bridge = gaps(make_bridge("m", now=T + 5 * INTERVAL, scraped=False), 6)
    bridge.sandbox.script([{"status": 503, "times": 1000}])
    bridge.turns(limit=2.5 * INTERVAL).turn()

    assert (bridge.own("cycles_total", outcome="expired"), bridge.own("backlog_cycles")) == (0, 6)


# -- clocks ------------------------------------------------------------------------------------------------------------


def test_a_clock_that_is_three_days_ahead_gives_up_nothing(
    make_bridge: MakeBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service refuses what lies so far ahead. When the clock is right again, what waited before is repaired."""
    bridge = gaps(make_bridge("m", now=T, scraped=False), 4)
    loop = bridge.turns()
    bridge.sandbox.script([{"status": 503, "times": 1000}])
    loop.turn()
    bridge.sandbox.script([])
    with monkeypatch.context() as wrong:
        ahead, right = T + 72 * HOUR, bridge.clock()
        wrong.setattr(bridge.sandbox._endpoint, "now", lambda: right)
        bridge.prometheus.scrape([ahead - 15, ahead])
        bridge.prometheus.add("m", [(ahead - 5, 99)])
        bridge.clock.now = ahead
        loop.turn()
    state = loop.board.snapshot()
    assert (values(bridge), bridge.own("cycles_total", outcome="expired"), state.state) == ([], 0, "clock")

    for minute in (2, 3):
        bridge.clock.now = T + minute * INTERVAL
        loop.turn()
    assert sorted(values(bridge)) == [0, 1, 2, 3], "the pause that the wrong clock was told lasts a minute, not days"


def test_a_clock_that_is_hours_behind_after_a_restart_repeats_nothing(make_bridge: MakeBridge, tmp_path: Path) -> None:
    """What was accepted for a later time shows which clock is wrong."""
    bridge = gaps(make_bridge("m", now=T, scraped=False, folder=tmp_path), 4)
    bridge.turns().turn()
    bridge.clock.now = T + INTERVAL
    bridge.turns().turn()
    bridge.backlog.close()

    again = gaps(make_bridge("m", now=T - 3 * HOUR, begun=None, scraped=False, folder=tmp_path), 4)
    loop = again.turns()
    for now in (T - 3 * HOUR, T + INTERVAL, T + 2 * INTERVAL):
        again.clock.now = now
        loop.turn()
    assert (values(bridge), values(again)) == ([0, 1], [2])


def test_only_prometheus_clock_says_how_far_a_repair_may_go(waiting: Bridge) -> None:
    """Ours may be ahead; what Prometheus has not scraped yet would have no data for ever."""
    waiting.prometheus.clock = lambda: waiting.clock() - 3 * INTERVAL
    waiting.prometheus.failures = [(503, b"not now")]
    loop = waiting.turns()
    loop.turn()

    assert values(waiting) == []


def test_a_clock_that_went_back_repeats_nothing_and_goes_on_when_time_has_caught_up(
    make_bridge: MakeBridge, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = gaps(make_bridge("m", now=T, scraped=False), 5)
    loop = bridge.turns()
    for minute in (0, 1, 2, 3):
        bridge.clock.now = T + minute * INTERVAL
        loop.turn()
    for minute in (1, 2, 3, 4):
        bridge.clock.now = T + minute * INTERVAL
        loop.turn()

    assert values(bridge) == [0, 1, 2, 3, 4]
    assert caplog.text.count("the clock went back by") == 1


def test_a_machine_that_slept_has_no_data_for_that_time(make_bridge: MakeBridge) -> None:
    """Prometheus slept too; what was counted around the sleep is in the first row after it."""
    bridge = make_bridge({"metric": "c", "mode": "increase"}, now=T, scraped=False)
    samples = [(T - 45, 5), (T - 30, 6), (T - 15, 7), (T, 8)]
    later = [(T + 20 * INTERVAL + 15 * n, 10 + n) for n in range(-1, 1)]
    bridge.prometheus.add("c", [*samples, *later])
    bridge.prometheus.scrape([time for time, _ in (*samples, *later)])
    loop = bridge.turns()
    loop.turn()
    bridge.clock.now = T + 20 * INTERVAL
    loop.turn()

    assert sum(row["valueSum"] for row in bridge.rows("c")) == 5
    assert bridge.own("cycles_total", outcome="no_data") == 19


# -- the disk ----------------------------------------------------------------------------------------------------------


def test_on_a_disk_that_cannot_be_written_the_newest_goes_on_and_what_waits_waits(
    make_bridge: MakeBridge, tmp_path: Path
) -> None:
    """A restart would not know of a repair, and post it again. When the disk can be written again, it is repaired."""
    bridge = gaps(make_bridge("m", now=T, scraped=False, folder=tmp_path / "state"), 8)
    loop = bridge.turns()
    bridge.sandbox.script([{"status": 503, "times": 1000}])
    loop.turn()
    bridge.sandbox.script([])
    (tmp_path / "state").rename(tmp_path / "away")
    (tmp_path / "state").touch()
    bridge.clock.now = T + 3 * INTERVAL
    loop.turn()

    assert (values(bridge), bridge.own("state_durable")) == ([2, 3], 0)
    assert any("cannot be written" in trouble for trouble in loop.board.snapshot().troubles)

    (tmp_path / "state").unlink()
    bridge.clock.now = T + 4 * INTERVAL
    loop.turn()
    bridge.clock.now = T + 5 * INTERVAL
    loop.turn()
    assert (sorted(values(bridge)), bridge.own("state_durable")) == ([0, 1, 2, 3, 4, 5], 1)


def test_orders_of_another_process_are_taken_at_the_next_turn(
    make_bridge: MakeBridge, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bridge = gaps(make_bridge("m", now=T + 2 * INTERVAL, scraped=False, folder=tmp_path), 4)
    loop = bridge.turns()
    loop.turn()
    Backlog(tmp_path).order(T, T + INTERVAL, repeat=True)
    bridge.clock.now = T + 3 * INTERVAL
    with caplog.at_level(logging.INFO):
        loop.turn()

    assert values(bridge) == [1, 2, 0, 3, 1]
    assert "asked for again: 2026-11-18T11:07:00Z to 2026-11-18T11:08:00Z" in caplog.text


def test_a_restart_goes_on_where_the_run_before_was_killed(make_bridge: MakeBridge, tmp_path: Path) -> None:
    bridge = gaps(make_bridge("m", now=T, scraped=False, folder=tmp_path), 4)
    bridge.turns().turn()
    bridge.backlog.close()  # as the kernel does

    again = gaps(make_bridge("m", now=T + 3 * INTERVAL, begun=None, scraped=False, folder=tmp_path), 4)
    again.turns().turn()

    assert (values(bridge), values(again)) == ([0], [2, 3, 1])
    assert again.own("points_total", outcome=Outcome.ACCEPTED.value) == 4, "the account goes on"
