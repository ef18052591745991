"""The snapshot that page, command and probes share."""

import logging
import math

import pytest

from bridge.backlog import Backlog
from bridge.points import Batch, Condition, Glance, Obstacle, Outcome, Rejection, Report, Settlement
from bridge.status import Board, Memory, State
from tests.scripted.clock import Clock

NOTHING = dict.fromkeys(Outcome, 0)
UNREAD = {"settlement": Settlement.WAITING, "condition": None, "outcomes": {}}
REJECTION = Rejection("m", {"model": "a"}, "2026-11-21T10:00:00Z", 400, "no such thing")


@pytest.fixture
def board() -> Board:
    backlog = Backlog(None)
    return Board(Clock(1000.0), lambda: Memory(backlog.account))


def report(settlement: Settlement = Settlement.SETTLED, time: float = 60.0, **changes: object) -> Report:
    outcomes = changes.pop("outcomes", {**NOTHING, Outcome.ACCEPTED: 2})
    return Report(time, settlement, outcomes, **{"condition": Condition.DELIVERING, **changes})  # type: ignore[arg-type]


def test_before_the_first_cycle_nothing_is_known(board: Board) -> None:
    snapshot = board.snapshot()

    assert (snapshot.state, snapshot.prometheus_answers) == (State.STARTING, None)
    assert snapshot.points == NOTHING


def test_points_of_waiting_cycles_are_shown_with_those_that_are_decided() -> None:
    backlog = Backlog(None)
    backlog.in_force(0.0, 60.0, "digest", "{}")
    backlog.settle(0.0, 60.0, Settlement.SETTLED, {Outcome.NOT_FINITE: 2})
    backlog.begin(60.0, 120.0, [Batch(b"", 4, 0)], not_finite=1).end()
    snapshot = Board(Clock(1000.0), lambda: Memory(backlog.account, "the disk is full")).snapshot()

    assert snapshot.points == {**NOTHING, Outcome.WAITING: 4, Outcome.NOT_FINITE: 3}
    assert sum(snapshot.points.values()) == snapshot.memory.account.read
    assert "the disk is full" in snapshot.troubles


@pytest.mark.parametrize(
    ("changes", "state", "answers"),
    [
        ({}, State.DELIVERING, True),
        ({"settlement": Settlement.NO_DATA, "condition": None, "outcomes": {}}, State.NO_DATA, True),
        *(
            ({"settlement": Settlement.WAITING, "condition": condition}, State(condition.value), True)
            for condition in Condition
            if condition is not Condition.DELIVERING
        ),
        ({**UNREAD, "obstacle": Obstacle.PROMETHEUS}, State.PROMETHEUS_UNREACHABLE, False),
        ({**UNREAD, "obstacle": Obstacle.SELECTION}, State.SELECTION_UNREADABLE, True),
        ({**UNREAD, "obstacle": Obstacle.FAULT}, State.FAULT, True),
        ({"condition": None, "outcomes": NOTHING}, State.NOTHING_TO_SEND, True),
        # It could be read, and was not posted: at a stop whose account could not be kept.
        ({**UNREAD, "outcomes": {Outcome.WAITING: 5}, "problems": ("not posted",)}, State.DELIVERING, True),
        ({"outcomes": {**NOTHING, Outcome.REJECTED: 5}}, State.REJECTED, True),
        ({"outcomes": {**NOTHING, Outcome.REJECTED: 5, Outcome.ACCEPTED: 1}}, State.DELIVERING, True),
        (
            {"outcomes": {**NOTHING, Outcome.REJECTED: 1, Outcome.WAITING: 1}, "condition": Condition.QUOTA},
            State.QUOTA,
            True,
        ),
    ],
)
def test_the_newest_cycle_gives_the_state(board: Board, changes: dict, state: State, answers: bool) -> None:
    board.record(report(Settlement.WAITING))
    board.record(report(**changes))

    assert (board.snapshot().state, board.snapshot().prometheus_answers) == (state, answers)


def test_reports_are_bounded_and_newest_first(board: Board) -> None:
    for number in range(500):
        board.record(report(time=60.0 * number, rejections=(REJECTION,)))

    snapshot = board.snapshot()
    assert len(snapshot.reports) == 60
    assert snapshot.reports[0].time == 60.0 * 499
    assert {report.rejections for report in snapshot.reports} == {()}  # a report may have thousands


def test_every_state_has_words_and_all_but_delivering_say_what_to_do() -> None:
    assert all(state.words for state in State)
    assert {state for state in State if not state.remedy} == {State.DELIVERING}


def test_the_state_tells_since_when() -> None:
    clock = Clock(1000.0)
    backlog = Backlog(None)
    board = Board(clock, lambda: Memory(backlog.account), clock)
    for seconds in (60, 60):
        clock.sleep(seconds)
        board.record(report())

    assert (board.snapshot().state, board.snapshot().since) == (State.DELIVERING, 1060.0)


def test_what_waits_is_caught_up_with_and_the_state_says_so_before_the_next_cycle() -> None:
    clock = Clock(1000.0)
    backlog = Backlog(None)
    backlog.in_force(0.0, 60.0, "digest", "{}")
    board = Board(clock, lambda: Memory(backlog.account), clock)
    assert backlog.gap(120.0)
    backlog.settle(60.0, 120.0, Settlement.SETTLED, {})
    board.record(report())
    assert board.snapshot().state is State.CATCHING_UP

    backlog.settle(0.0, 60.0, Settlement.SETTLED, {})
    clock.sleep(5)
    board.turned()

    assert (board.snapshot().state, board.snapshot().since) == (State.DELIVERING, 1005.0)


@pytest.mark.parametrize("wrong", ["silent", "selection", "disk", "damage", "state"])
def test_healthy_is_delivering_with_nothing_wrong_beside(wrong: str) -> None:
    clock = Clock(1000.0)
    backlog = Backlog(None)
    told = {"disk": {"trouble": "full"}, "damage": {"problems": ("a file",)}}.get(wrong, {})
    healthy = Board(clock, lambda: Memory(backlog.account), clock)
    board = Board(clock, lambda: Memory(backlog.account, **told), clock)  # type: ignore[arg-type]
    healthy.record(report())
    board.record(report(condition=Condition.QUOTA) if wrong == "state" else report())
    assert healthy.snapshot().healthy
    if wrong == "silent":
        clock.sleep(211)
    if wrong == "selection":
        board.not_selected(["bad"])

    assert not board.snapshot().healthy


def test_a_trend_is_the_last_hour_one_value_a_minute() -> None:
    backlog = Backlog(None)
    board = Board(Clock(1000.0), lambda: Memory(backlog.account))
    for minute in [*range(70), 72]:
        board.record(report(time=60.0 * minute, metrics={"m": Glance(1, (), float(minute))}))
    (trend,) = board.snapshot().trends.values()

    assert trend[:57] == tuple(map(float, range(13, 70)))
    assert [math.isnan(value) for value in trend[57:]] == [True, True, False]
    assert trend[59] == 72.0


def test_the_trend_of_a_metric_that_is_gone_for_an_hour_is_forgotten() -> None:
    backlog = Backlog(None)
    board = Board(Clock(1000.0), lambda: Memory(backlog.account))
    for minute, name in ((0, "old"), (59, "new"), (60, "new")):
        board.record(report(time=60.0 * minute, metrics={name: Glance(1, (), 1.0)}))

    assert set(board.snapshot().trends) == {"new"}


def test_a_cycle_that_is_under_way_is_no_reason_to_be_catching_up() -> None:
    backlog = Backlog(None)
    backlog.in_force(0.0, 60.0, "digest", "{}")
    board = Board(Clock(1000.0), lambda: Memory(backlog.account))
    backlog.settle(0.0, 60.0, Settlement.SETTLED, {})
    board.record(report())
    assert backlog.gap(120.0)

    assert board.snapshot().state is State.DELIVERING


def test_a_change_of_state_is_logged_once_with_what_is_known_and_what_to_do(
    board: Board, caplog: pytest.LogCaptureFixture
) -> None:
    throttled = report(Settlement.WAITING, condition=Condition.THROTTLED, problems=("Azure answered 429",))
    with caplog.at_level(logging.INFO):
        for each in (report(), throttled, throttled, report()):
            board.record(each)
            board.snapshot()

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "state: starting → delivering"),
        ("WARNING", f"state: delivering → throttled: Azure answered 429 — {State.THROTTLED.remedy}"),
        ("INFO", "state: throttled → delivering"),
    ]


def test_the_last_hour_is_the_account_of_its_cycles() -> None:
    backlog = Backlog(None)
    backlog.in_force(0.0, 60.0, "digest", "{}")
    for minute in range(80):
        backlog.settle(60.0 * minute, 60.0 * (minute + 1), Settlement.SETTLED, {Outcome.NOT_FINITE: minute})
    assert backlog.gap(4860.0)
    hour = Board(Clock(4860.0), lambda: Memory(backlog.account)).snapshot().hour

    assert hour.since == 1260.0
    assert hour.cycles == {**dict.fromkeys(Settlement, 0), Settlement.SETTLED: 59, Settlement.WAITING: 1}
    assert hour.points == {**NOTHING, Outcome.NOT_FINITE: sum(range(21, 80))}
    assert hour.read == sum(range(21, 80))


@pytest.mark.parametrize(
    ("newest", "now", "expected"),
    [
        (None, 1000.0, 1020.0),
        (960.0, 1000.0, 1020.0),
        (960.0, 1019.9, 1020.0),
        (960.0, 1023.0, 1020.0),  # it is due, and its scrapes are waited for
        (1020.0, 1026.0, 1080.0),
        (780.0, 1000.0, 960.0),
        (1080.0, 1000.0, 1020.0),  # by Prometheus' clock, which is ahead
    ],
)
def test_the_next_cycle_is_the_one_that_is_worked_on_next(newest: float | None, now: float, expected: float) -> None:
    backlog = Backlog(None)
    board = Board(Clock(now), lambda: Memory(backlog.account))
    if newest is not None:
        board.record(report(time=newest))

    assert board.snapshot().next_cycle == expected


def test_the_volume_a_month_is_that_of_the_newest_cycle_that_was_read(board: Board) -> None:
    assert board.snapshot().monthly_bytes is None
    for changes in ({"billed_bytes": 500}, {"billed_bytes": 1000}, {**UNREAD, "obstacle": Obstacle.PROMETHEUS}):
        board.record(report(**changes))

    assert board.snapshot().monthly_bytes == 1000 * 60 * 24 * 30


def test_while_it_catches_up_it_is_told_what_holds_up_those_that_wait_and_not_for_longer() -> None:
    backlog = Backlog(None)
    board = Board(Clock(1000.0), lambda: Memory(backlog.account))
    backlog.in_force(0.0, 60.0, "digest", "{}")
    backlog.gap(120.0)
    backlog.settle(60.0, 120.0, Settlement.SETTLED, {})
    board.record(report(time=120.0))
    assert (board.snapshot().state, board.snapshot().detail) == (State.CATCHING_UP, "")

    board.repaired("Azure answered 503")
    assert board.snapshot().detail == "Azure answered 503"

    backlog.settle(0.0, 60.0, Settlement.SETTLED, {})
    assert (board.snapshot().state, board.snapshot().detail) == (State.DELIVERING, "")
    board.record(report(time=180.0))
    backlog.gap(240.0)
    board.record(report(time=240.0))
    assert (board.snapshot().state, board.snapshot().detail) == (State.CATCHING_UP, "")
