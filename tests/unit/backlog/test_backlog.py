"""What is asked for again, what is posted again, and what the account says of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.backlog import Backlog, Gap
from bridge.points import Batch, Outcome, Receipt, Rejection, Settlement

START = 600.0
ONE, TWO, THREE = (Batch.pack([b'{"n":%d}' % n for n in range(size)]) for size in (1, 2, 3))
WAITING = Settlement.WAITING


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Backlog]:
    """Start a process on the same folder; the one before it ends as it stands."""
    running: list[Backlog] = []

    def start(now: float = START, interval: float = 60, digest: str = "d1") -> Backlog:
        for before in running:
            before.close()
        backlog = Backlog(tmp_path / "bridge", clock=lambda: now)
        running.append(backlog)
        backlog.lock()
        backlog.in_force(now, interval, digest, f"the text of {digest}")
        return backlog

    return start


@pytest.fixture
def backlog(start: Callable[..., Backlog]) -> Backlog:
    return start()


def times(backlog: Backlog, newest: float) -> list[float]:
    return [gap.time for gap in backlog.gaps(newest)]


def settled(backlog: Backlog, start: float, time: float) -> None:
    backlog.settle(start, time, Settlement.SETTLED, {Outcome.NOT_FINITE: 0})


def delivered(backlog: Backlog, time: float, *receipts: Receipt, start: float | None = None) -> Settlement:
    """A cycle of three batches, of which so many are posted."""
    cycle = backlog.begin(time - 60 if start is None else start, time, [ONE, TWO, THREE], not_finite=1, left_out=10)
    for number, receipt in enumerate(receipts):
        cycle.intent(number)
        cycle.verdict(number, receipt)
    return cycle.end()


def unposted(backlog: Backlog, time: float, points: int, **unsent: int) -> None:
    """A cycle that was read, and of which nothing may be posted."""
    backlog.begin(time - 60, time, [Batch(b"", points, 0)], **unsent).end()


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.gz"))


# What is asked for


def test_the_first_start_begins_now(start: Callable[..., Backlog]) -> None:
    backlog = start(630.0)

    assert backlog.account.origin == 600
    assert times(backlog, 720) == [660, 720]
    assert backlog.gap(600) is None


def test_a_gap_says_what_to_ask_for(backlog: Backlog) -> None:
    assert list(backlog.gaps(660)) == [Gap(600, 660, 60, "d1")]
    assert backlog.selection("d1") == "the text of d1"


def test_gaps_come_oldest_first_and_what_is_settled_meanwhile_does_not_come(backlog: Backlog) -> None:
    gaps = backlog.gaps(840)
    assert next(gaps).time == 660
    settled(backlog, 660, 720)

    assert [gap.time for gap in gaps] == [780, 840]


def test_what_was_settled_is_known_to_the_next_process(start: Callable[..., Backlog]) -> None:
    backlog = start()
    settled(backlog, 660, 720)

    assert times(start(900), 900) == [660, 780, 840, 900]


def test_a_cycle_goes_on_where_a_run_ended_off_the_grid(start: Callable[..., Backlog]) -> None:
    backlog = start()
    settled(backlog, 600, 660)
    assert backlog.gap(682.5) == Gap(660, 682.5, 60, "d1")
    settled(backlog, 660, 682.5)

    assert list(start(700).gaps(720)) == [Gap(682.5, 720, 60, "d1")]


def test_an_end_off_the_grid_begins_at_the_last_grid_time_even_where_that_waits(backlog: Backlog) -> None:
    assert backlog.gap(682.5) == Gap(660, 682.5, 60, "d1")


def test_milliseconds_are_exact(start: Callable[..., Backlog]) -> None:
    backlog = start(1_763_683_200.3, interval=0.1)
    settled(backlog, 1_763_683_200.3, 1_763_683_200.4)

    assert times(backlog, 1_763_683_200.7) == [1_763_683_200.5, 1_763_683_200.6, 1_763_683_200.7]


def test_a_gap_keeps_what_was_in_force_when_it_fell_due(start: Callable[..., Backlog]) -> None:
    start()
    backlog = start(730, interval=45, digest="d2")

    assert list(backlog.gaps(765)) == [
        Gap(600, 660, 60, "d1"),
        Gap(660, 720, 60, "d1"),
        Gap(720, 765, 45, "d2"),
    ]
    assert (backlog.selection("d1"), backlog.selection("d2")) == ("the text of d1", "the text of d2")


def test_a_change_counts_from_the_next_grid_time_on(backlog: Backlog) -> None:
    backlog.in_force(659, 60, "d2", "new")

    assert [gap.digest for gap in backlog.gaps(660)] == ["d2"]


def test_a_selection_that_no_gap_needs_is_forgotten(backlog: Backlog) -> None:
    settled(backlog, 600, 660)
    backlog.in_force(670, 60, "d2", "new")

    with pytest.raises(KeyError):
        backlog.selection("d1")


def test_two_days_of_seconds_that_nobody_asked_for_are_cheap(start: Callable[..., Backlog]) -> None:
    backlog = start(interval=1)
    now = START + 47 * 3600
    settled(backlog, now - 1, now)

    assert next(backlog.gaps(now)).time == START + 1
    assert backlog.account.cycles[WAITING] == 47 * 3600 - 1


# What is posted again


def test_a_cycle_that_was_delivered_leaves_nothing(backlog: Backlog, tmp_path: Path) -> None:
    assert delivered(backlog, 660, Receipt(accepted=1), Receipt(accepted=2), Receipt(accepted=3)) is Settlement.SETTLED

    assert (files(tmp_path), list(backlog.leftovers()), times(backlog, 660)) == ([], [], [])
    assert backlog.account.last_delivered == 660


def test_a_cycle_of_which_nothing_was_decided_is_a_gap_again(backlog: Backlog, tmp_path: Path) -> None:
    lost = Receipt(waiting=(TWO,), possibly_repeated=2)

    assert delivered(backlog, 660, Receipt(waiting=(ONE,)), lost) is WAITING

    assert (files(tmp_path), list(backlog.leftovers()), times(backlog, 660)) == ([], [], [660])
    assert backlog.account.waiting[Outcome.WAITING] == 6
    assert backlog.account.possibly_repeated == 2


@pytest.mark.parametrize("first", [Receipt(accepted=1), Receipt(rejected=1), Receipt(expired=1)])
def test_a_cycle_of_which_a_part_was_decided_leaves_the_rest_over(
    start: Callable[..., Backlog], first: Receipt
) -> None:
    assert delivered(start(), 660, first, Receipt(waiting=(TWO,))) is WAITING

    backlog = start()
    (left,) = backlog.leftovers()

    assert times(backlog, 660) == [], "it is not asked for again"
    assert (left.start, left.time) == (600, 660)
    assert sorted(left.batch(number).points for number in left.waiting) == [2, 3]
    assert {left.batch(number) for number in left.waiting} == {TWO, THREE}, "the same bytes"


def test_leftovers_come_oldest_first_and_go_when_they_are_decided(
    start: Callable[..., Backlog], tmp_path: Path
) -> None:
    backlog = start()
    for time in (720.0, 660.0):
        delivered(backlog, time, Receipt(accepted=1), Receipt(accepted=2))
    backlog = start()

    for left, time in zip(backlog.leftovers(), (660, 720), strict=True):
        (number,) = left.waiting
        left.intent(number)
        left.verdict(number, Receipt(accepted=3))
        assert (left.time, left.end()) == (time, Settlement.SETTLED)

    assert files(tmp_path) == []
    assert backlog.account.cycles == {
        Settlement.SETTLED: 2, WAITING: 0, Settlement.EXPIRED: 0, Settlement.NO_DATA: 0,
    }  # fmt: skip
    assert backlog.account.possibly_repeated == 0


def test_leftovers_stay_where_nothing_came_of_them(start: Callable[..., Backlog]) -> None:
    delivered(start(), 660, Receipt(accepted=1), Receipt(accepted=2))
    for _ in range(3):
        (left,) = start().leftovers()
        (number,) = left.waiting
        left.intent(number)
        left.verdict(number, Receipt(waiting=(THREE,)))
        assert left.end() is WAITING


def test_what_waits_of_a_batch_waits_in_its_place(start: Callable[..., Backlog]) -> None:
    cycle = start().begin(600, 660, [ONE, THREE])
    cycle.intent(0)
    cycle.verdict(0, Receipt(waiting=(ONE,)))
    assert set(cycle.waiting) == {0, 1}, "all of it"
    cycle.intent(1)
    cycle.verdict(1, Receipt(accepted=0, rejected=0, waiting=(TWO, ONE)))
    assert sorted(cycle.waiting) == [0, 2, 3], "its halves"
    cycle.intent(2)
    cycle.verdict(2, Receipt(accepted=1, waiting=(ONE,)))
    cycle.end()

    (left,) = start().leftovers()

    assert [left.batch(number) for number in left.waiting] == [ONE, ONE, ONE]


def test_a_batch_that_was_under_way_when_the_process_ended_is_posted_again_and_counted(
    start: Callable[..., Backlog],
) -> None:
    cycle = start().begin(600, 660, [ONE, TWO])
    cycle.intent(1)
    backlog = start()
    assert backlog.account.possibly_repeated == 0, "not yet"

    (left,) = backlog.leftovers()
    for number in left.waiting:
        left.intent(number)
        left.verdict(number, Receipt(accepted=left.batch(number).points))

    assert left.end() is Settlement.SETTLED
    assert backlog.account.possibly_repeated == 2
    assert backlog.account.points[Outcome.ACCEPTED] == 3


def test_a_batch_in_doubt_stays_over_however_often_it_waits(start: Callable[..., Backlog]) -> None:
    start().begin(600, 660, [ONE]).intent(0)
    for _ in range(2):
        (left,) = start().leftovers()
        left.intent(0)
        left.verdict(0, Receipt(waiting=(ONE,)))
        assert left.end() is WAITING


def test_a_cycle_that_was_written_and_not_posted_is_a_gap_after_a_restart(
    start: Callable[..., Backlog], tmp_path: Path
) -> None:
    start().begin(600, 660, [ONE, TWO])
    backlog = start()

    assert (times(backlog, 660), list(backlog.leftovers()), files(tmp_path)) == ([660], [], [])


# The account


def test_the_account_adds_up(backlog: Backlog) -> None:
    delivered(backlog, 660, Receipt(accepted=1), Receipt(rejected=1, expired=1), Receipt(accepted=3, unconfirmed=3))
    delivered(backlog, 720, Receipt(waiting=(ONE,)))
    delivered(backlog, 780, Receipt(accepted=1))
    backlog.settle(780, 840, Settlement.NO_DATA, {})
    backlog.settle(840, 900, Settlement.SETTLED, {Outcome.NOT_FINITE: 4, Outcome.LEFT_OUT: 5})
    assert times(backlog, 960) == [720, 960]
    account = backlog.account

    assert account.cycles == {
        Settlement.SETTLED: 2, WAITING: 3, Settlement.EXPIRED: 0, Settlement.NO_DATA: 1,
    }  # fmt: skip
    assert account.points == {
        Outcome.ACCEPTED: 5, Outcome.REJECTED: 1, Outcome.EXPIRED: 1, Outcome.NOT_FINITE: 6, Outcome.LEFT_OUT: 25,
    }  # fmt: skip
    assert account.waiting == {Outcome.WAITING: 6 + 5, Outcome.NOT_FINITE: 1, Outcome.LEFT_OUT: 10}
    assert (account.due, account.read) == (6, 17 * 3 + 9)
    assert (account.leftovers, account.unconfirmed, account.oldest_waiting) == (1, 3, 720)
    assert [(one.start, one.time, one.settlement, sum(one.outcomes.values())) for one in account.details] == [
        (900, 960, WAITING, 0),
        (840, 900, Settlement.SETTLED, 9),
        (780, 840, Settlement.NO_DATA, 0),
        (720, 780, WAITING, 17),
        (660, 720, WAITING, 17),
        (600, 660, Settlement.SETTLED, 17),
    ]


def test_the_account_is_kept_over_a_restart(start: Callable[..., Backlog]) -> None:
    backlog = start()
    delivered(
        backlog, 660, Receipt(accepted=1), Receipt(rejected=2, rejections=(Rejection("m", {"a": "b"}, "t", 400, "no"),))
    )
    delivered(backlog, 720, Receipt(waiting=(ONE,)))
    unposted(backlog, 780, 7)
    before = backlog.account

    assert start().account == before


def test_a_gap_counts_by_its_last_reading(backlog: Backlog) -> None:
    unposted(backlog, 660, 7, not_finite=1)
    assert backlog.account.read == 8
    unposted(backlog, 660, 5, left_out=2)
    assert backlog.account.waiting == {Outcome.WAITING: 5, Outcome.NOT_FINITE: 0, Outcome.LEFT_OUT: 2}

    backlog.settle(600, 660, Settlement.NO_DATA, {})

    assert backlog.account.read == 0


def test_the_readings_that_are_kept_are_bounded() -> None:
    backlog = Backlog(None)
    backlog.in_force(START, 60, "d1", "text")
    for minute in range(3_001):
        unposted(backlog, START + 60 * (minute + 1), 1 if minute else 1_000_000)

    assert backlog.account.waiting[Outcome.WAITING] == 3_000, "the oldest counts as not read yet"
    assert backlog.account.cycles[WAITING] == 3_001


def test_a_run_whose_end_was_not_delivered_leaves_no_cycle_of_its_own(backlog: Backlog) -> None:
    """The next one asks for the whole interval."""
    assert delivered(backlog, 622.5, Receipt(waiting=(ONE,)), start=600) is WAITING

    assert (backlog.account.due, backlog.account.read) == (0, 0)
    assert list(backlog.gaps(660)) == [Gap(600, 660, 60, "d1")]


def test_an_end_whose_reply_was_lost_is_posted_again_as_it_was(start: Callable[..., Backlog]) -> None:
    """The cycle that follows would ask for the same counts, in one row with others."""
    lost = Receipt(waiting=(ONE,), possibly_repeated=1)
    assert delivered(start(), 622.5, lost, start=600) is WAITING

    backlog = start()
    (left,) = backlog.leftovers()
    assert (left.start, left.time) == (600, 622.5)
    assert list(backlog.gaps(660)) == [Gap(622.5, 660, 60, "d1")]


def test_rejections_are_kept_newest_first_and_bounded(start: Callable[..., Backlog]) -> None:
    backlog = start()
    many = Batch(b"", 1_000, 1)
    for minute in range(1, 11):
        cycle = backlog.begin(0, START + 60 * minute, [many])
        cycle.intent(0)
        cycle.verdict(
            0,
            Receipt(
                rejected=1_000,
                rejections=tuple(Rejection("m", {"n": str(n)}, "t", 400, "\ud800") for n in range(1_000)),
            ),
        )
        cycle.end()

    rejections = start().account.rejections

    assert [time for time, _ in rejections] == [START + 60 * minute for minute in range(10, 4, -1) for _ in range(50)]
    assert rejections[0][1] == Rejection("m", {"n": "49"}, "t", 400, "\ud800")


def test_the_details_are_bounded(start: Callable[..., Backlog]) -> None:
    backlog = start()
    for minute in range(200):
        settled(backlog, START + 60 * minute, START + 60 * (minute + 1))

    assert [one.time for one in start().account.details] == [START + 60 * minute for minute in range(200, 100, -1)]


# Too late


def test_what_nobody_takes_any_more_is_given_up_and_counted(start: Callable[..., Backlog], tmp_path: Path) -> None:
    backlog = start()
    delivered(backlog, 660, Receipt(accepted=1))
    delivered(backlog, 720, Receipt(waiting=(ONE,)))
    assert times(backlog, 900) == [720, 780, 840, 900]

    assert backlog.expire(799) == 3

    account = backlog.account
    assert times(backlog, 900) == [840, 900]
    assert (files(tmp_path), list(backlog.leftovers())) == ([], [])
    assert (account.cycles[Settlement.EXPIRED], account.cycles[WAITING], account.due) == (3, 2, 5)
    assert account.points[Outcome.EXPIRED] == 5 + 6
    assert account.read == 17 * 2
    assert [(one.time, one.settlement, sum(one.outcomes.values())) for one in account.details] == [
        (900, WAITING, 0),
        (840, WAITING, 0),
        (720, Settlement.EXPIRED, 17),
        (660, Settlement.EXPIRED, 17),
    ]
    assert backlog.expire(799) == 0, "once"
    again = start(900)
    assert times(again, 900) == [840, 900]
    assert again.account == account


def test_nothing_is_given_up_before_its_time(backlog: Backlog) -> None:
    assert times(backlog, 780) == [660, 720, 780]

    assert backlog.expire(719.999) == 1
    assert times(backlog, 780) == [720, 780]


def test_the_part_of_a_cycle_that_waits_expires_with_it(backlog: Backlog) -> None:
    settled(backlog, 600, 682.5)

    assert backlog.expire(700) == 0
    assert list(backlog.gaps(720)) == [Gap(682.5, 720, 60, "d1")]


def test_a_clock_that_was_far_ahead_leaves_no_mark(backlog: Backlog) -> None:
    ahead = START + 10 * 3600
    settled(backlog, 600, 660)
    assert backlog.expire(ahead) == 599
    settled(backlog, ahead, ahead + 60)

    assert times(backlog, 780) == []
    assert times(backlog, 900) == [840, 900]
    assert backlog.account.cycles[Settlement.EXPIRED] == 599, "what was said was said"


def test_a_clock_that_goes_back_a_little_has_nothing_repeated(backlog: Backlog) -> None:
    """What was delivered then has the same times."""
    for time in range(660, 4000, 60):
        settled(backlog, time - 60, time)

    assert times(backlog, 900) == []
