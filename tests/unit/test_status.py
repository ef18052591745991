"""The snapshot that page, command and probes share."""

import pytest

from bridge.points import Condition, Outcome, Rejection, Report, Settlement
from bridge.status import Board
from tests.scripted.clock import Clock

NOTHING = dict.fromkeys(Outcome, 0)
REJECTION = Rejection("m", {"model": "a"}, "2026-11-21T10:00:00Z", 400, "no such thing")


@pytest.fixture
def board() -> Board:
    return Board(Clock(1000.0))


def report(settlement: Settlement = Settlement.SETTLED, time: float = 60.0, **changes: object) -> Report:
    outcomes = changes.pop("outcomes", {**NOTHING, Outcome.ACCEPTED: 2})
    return Report(time, settlement, outcomes, **{"condition": Condition.DELIVERING, **changes})  # type: ignore[arg-type]


def test_before_the_first_cycle_nothing_is_known(board: Board) -> None:
    snapshot = board.snapshot()

    assert (snapshot.state, snapshot.last_delivered, snapshot.prometheus_answers) == ("starting", None, None)
    assert (snapshot.read, sum(snapshot.cycles.values())) == (0, 0)


def test_points_and_cycles_add_up(board: Board) -> None:
    board.record(report(outcomes={**NOTHING, Outcome.ACCEPTED: 2, Outcome.REJECTED: 1}, rejections=(REJECTION,)))
    board.record(report(Settlement.WAITING, 120.0, outcomes={**NOTHING, Outcome.WAITING: 4}))
    board.record(report(Settlement.NO_DATA, 180.0, outcomes={}, condition=None))

    snapshot = board.snapshot()
    assert snapshot.read == 7
    assert snapshot.points == {**NOTHING, Outcome.ACCEPTED: 2, Outcome.REJECTED: 1, Outcome.WAITING: 4}
    assert {key: count for key, count in snapshot.cycles.items() if count} == {
        Settlement.SETTLED: 1,
        Settlement.WAITING: 1,
        Settlement.NO_DATA: 1,
    }
    assert (snapshot.last_delivered, snapshot.rejections) == (60.0, (REJECTION,))


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


def test_the_lists_are_bounded_and_newest_first(board: Board) -> None:
    for number in range(500):
        board.record(report(time=60.0 * number, rejections=(REJECTION,)))

    snapshot = board.snapshot()
    assert (len(snapshot.reports), len(snapshot.rejections)) == (60, 200)
    assert snapshot.reports[0].time == 60.0 * 499
    assert {report.rejections for report in snapshot.reports} == {()}  # a report may have thousands
