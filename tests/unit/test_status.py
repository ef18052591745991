"""The snapshot that page, command and probes share."""

import pytest

from bridge.backlog import Backlog
from bridge.points import Batch, Condition, Outcome, Rejection, Report, Settlement
from bridge.status import Board, Memory
from tests.scripted.clock import Clock

NOTHING = dict.fromkeys(Outcome, 0)
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

    assert (snapshot.state, snapshot.prometheus_answers) == ("starting", None)
    assert snapshot.points == NOTHING


def test_points_of_waiting_cycles_are_shown_with_those_that_are_decided() -> None:
    backlog = Backlog(None)
    backlog.in_force(0.0, 60.0, "digest", "{}")
    backlog.settle(0.0, 60.0, Settlement.SETTLED, {Outcome.NOT_FINITE: 2})
    backlog.begin(60.0, 120.0, [Batch(b"", 4, 0)], not_finite=1).end()
    snapshot = Board(Clock(1000.0), lambda: Memory(backlog.account, "the disk is full")).snapshot()

    assert snapshot.points == {**NOTHING, Outcome.WAITING: 4, Outcome.NOT_FINITE: 3}
    assert sum(snapshot.points.values()) == snapshot.memory.account.read
    assert "the disk is full" in snapshot.advice


@pytest.mark.parametrize(
    ("changes", "state", "answers"),
    [
        ({}, "delivering", True),
        ({"settlement": Settlement.NO_DATA, "condition": None, "outcomes": {}}, "no data", True),
        ({"settlement": Settlement.WAITING, "condition": Condition.QUOTA}, "quota", True),
        ({"settlement": Settlement.WAITING, "condition": None, "outcomes": {}}, "Prometheus does not answer", False),
        ({"condition": None, "outcomes": NOTHING}, "nothing to send", True),
    ],
)
def test_the_newest_cycle_gives_the_state(board: Board, changes: dict, state: str, answers: bool) -> None:
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
