"""What a cycle was to be asked for is known afterwards, as long as the account goes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.account import Gap
from bridge.backlog import Backlog
from bridge.points import Batch, Outcome, Receipt, Settlement

T = 1_795_000_020.0  # a full minute


@pytest.fixture
def backlog(tmp_path: Path) -> Backlog:
    """Selection "a" from T on; T + 60 and T + 90, the end of a run, are settled."""
    made = Backlog(tmp_path, clock=lambda: T)
    made.lock()
    made.in_force(T, 60.0, "a", "{}")
    made.settle(T, T + 60, Settlement.SETTLED, {})
    made.settle(T + 60, T + 90, Settlement.SETTLED, {})
    return made


@pytest.mark.parametrize(
    ("time", "start"),
    [(T + 60, T), (T + 90, T + 60), (T + 120, T + 90), (T + 180, T + 120)],
    ids=["settled", "the end of a run", "waiting, after it", "ahead"],
)
def test_it_is_known_for_each_time_since_the_account_began(backlog: Backlog, time: float, start: float) -> None:
    assert backlog.asked(time) == Gap(start, time, 60.0, "a")


def test_a_cycle_under_way_is_known(backlog: Backlog) -> None:
    """And so is one that left a batch over: its points count as settled, since they are never asked for again."""
    cycle = backlog.begin(T + 90, T + 120, [Batch.pack([b"{}"]), Batch.pack([b"{}"])])
    assert backlog.asked(T + 120) == Gap(T + 90, T + 120, 60.0, "a")

    first, second = cycle.waiting
    for number, receipt in ((first, Receipt(accepted=1)), (second, Receipt(waiting=(cycle.batch(second),)))):
        cycle.intent(number)
        cycle.verdict(number, receipt)

    assert (cycle.end(), backlog.hole(T + 120)) == (Settlement.WAITING, None)
    assert backlog.asked(T + 120) == Gap(T + 90, T + 120, 60.0, "a")


def test_nothing_is_known_before_the_account_or_without_one(backlog: Backlog) -> None:
    assert backlog.asked(T) is None
    assert Backlog(None).asked(T) is None


def test_a_selection_of_which_nothing_waits_is_forgotten_with_the_next_one(backlog: Backlog) -> None:
    backlog.settle(T + 90, T + 120, Settlement.SETTLED, {Outcome.REJECTED: 1})
    backlog.in_force(T + 120, 60.0, "b", "{}")

    assert backlog.asked(T + 120) is None
    assert backlog.asked(T + 180) == Gap(T + 120, T + 180, 60.0, "b")


def test_whoever_only_reads_knows_the_same_and_writes_nothing(backlog: Backlog, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}

    assert Backlog(tmp_path).asked(T + 90) == backlog.asked(T + 90)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
