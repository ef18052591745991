"""What became of the last two days: of each moment what was noted last, and of a cycle what it came to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.account import Fate
from bridge.backlog.chronicle import Chronicle
from bridge.points import Outcome, Settlement

TWO_DAYS = 48 * 3_600_000
SPAN = st.tuples(st.integers(1, 40), st.integers(1, 12)).map(lambda one: (one[0], one[0] + one[1]))


@given(st.lists(st.tuples(SPAN, st.sampled_from(Fate))), st.none() | SPAN)
def test_of_each_moment_counts_what_was_noted_last(
    notes: list[tuple[tuple[int, int], Fate]], erased: tuple[int, int] | None
) -> None:
    chronicle, expected = Chronicle(), dict[int, Fate]()
    for (start, end), fate in notes:
        chronicle.note(start, end, fate)
        expected |= dict.fromkeys(range(start, end), fate)
    if erased:
        chronicle.erase(*erased)
        expected = {moment: fate for moment, fate in expected.items() if not erased[0] <= moment < erased[1]}

    stretches = list(Chronicle(chronicle.dump()))
    assert {moment: fate for start, end, fate in stretches for moment in range(start, end)} == expected
    assert sum(end - start for start, end, _ in stretches) == len(expected)
    assert stretches == sorted(stretches)


@pytest.mark.parametrize(
    ("settlement", "outcomes", "fate"),
    [
        (Settlement.SETTLED, {Outcome.ACCEPTED: 2, Outcome.NOT_FINITE: 1}, Fate.DELIVERED),
        (Settlement.SETTLED, {Outcome.NOT_FINITE: 1, Outcome.LEFT_OUT: 3}, Fate.NOTHING),
        (Settlement.SETTLED, {}, Fate.NOTHING),
        (Settlement.SETTLED, {Outcome.ACCEPTED: 2, Outcome.REJECTED: 1}, Fate.REJECTED),
        (Settlement.SETTLED, {Outcome.REJECTED: 3}, Fate.REJECTED),
        (Settlement.SETTLED, {Outcome.ACCEPTED: 2, Outcome.EXPIRED: 1}, Fate.REJECTED),
        (Settlement.NO_DATA, {}, Fate.NO_DATA),
        (Settlement.EXPIRED, {Outcome.EXPIRED: 3}, Fate.EXPIRED),
    ],
)
def test_a_cycle_is_what_its_points_came_to(settlement: Settlement, outcomes: dict[Outcome, int], fate: Fate) -> None:
    chronicle = Chronicle()
    chronicle.finish(60, 120, settlement, outcomes)

    assert list(chronicle) == [(60, 120, fate)]


def test_what_ends_after_a_later_one_was_repaired() -> None:
    chronicle = Chronicle()
    chronicle.finish(120, 180, Settlement.SETTLED, {Outcome.ACCEPTED: 1})
    chronicle.finish(60, 120, Settlement.SETTLED, {Outcome.ACCEPTED: 1})

    assert list(chronicle) == [(60, 120, Fate.REPAIRED), (120, 180, Fate.DELIVERED)]


def test_what_is_open_is_shown_as_such_and_changes_nothing() -> None:
    chronicle = Chronicle()
    chronicle.note(1, 100, Fate.DELIVERED)

    assert chronicle.shown(unknown=[(10, 20)], waiting=[(90, 120)]) == [
        (1, 10, Fate.DELIVERED),
        (10, 20, Fate.UNKNOWN),
        (20, 90, Fate.DELIVERED),
        (90, 120, Fate.WAITING),
    ]
    assert list(chronicle) == [(1, 100, Fate.DELIVERED)]


def test_more_than_two_days_are_not_kept() -> None:
    chronicle = Chronicle()
    chronicle.note(1, 100, Fate.EXPIRED)
    chronicle.note(100, TWO_DAYS + 40, Fate.DELIVERED)

    assert list(chronicle) == [(40, 100, Fate.EXPIRED), (100, TWO_DAYS + 40, Fate.DELIVERED)]
