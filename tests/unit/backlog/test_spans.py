"""A set of moments is the union of its spans, whatever the order in which they came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.backlog.spans import Spans

MOMENTS = st.integers(0, 60)
SPANS = st.lists(st.tuples(MOMENTS, MOMENTS).map(lambda pair: (min(pair), max(pair))), max_size=20)


def naive(floor: int, spans: list[tuple[int, int]]) -> set[int]:
    """The moments of 1…60 that are covered."""
    return {m for m in range(1, 61) if m <= floor or any(start < m <= end for start, end in spans)}


@given(MOMENTS, SPANS)
def test_a_moment_is_covered_if_a_span_covers_it(floor: int, added: list[tuple[int, int]]) -> None:
    spans = Spans(floor, added)

    assert {m for m in range(1, 61) if m in spans} == naive(floor, added)


@given(MOMENTS, SPANS, MOMENTS)
def test_holes_are_what_is_not_covered(floor: int, added: list[tuple[int, int]], until: int) -> None:
    spans = Spans(floor, added)

    found = [m for start, end in spans.holes(until) for m in range(start + 1, end + 1)]

    assert found == sorted(set(range(1, until + 1)) - naive(floor, added))


@given(MOMENTS, SPANS)
def test_spans_are_sorted_apart_and_above_the_floor(floor: int, added: list[tuple[int, int]]) -> None:
    spans = Spans(floor, added)

    edges = [spans.floor, *(edge for span in spans for edge in span)]

    assert edges == sorted(set(edges)), "each begins after the one before it ended"


@given(MOMENTS, SPANS, MOMENTS)
def test_the_last_covered_moment_is_found(floor: int, added: list[tuple[int, int]], moment: int) -> None:
    covered = {0, *naive(floor, added)}

    assert Spans(floor, added).covered_to(moment) == max(m for m in covered if m <= moment)


@given(MOMENTS, SPANS, SPANS)
def test_what_is_uncovered_is_covered_no_more(
    floor: int, added: list[tuple[int, int]], taken: list[tuple[int, int]]
) -> None:
    spans = Spans(floor, added)

    for span in taken:
        spans.uncover(*span)

    edges = [spans.floor, *(edge for span in spans for edge in span)]
    assert {m for m in range(1, 61) if m in spans} == naive(floor, added) - naive(0, taken)
    assert edges == sorted(set(edges)), "each begins after the one before it ended"


@given(MOMENTS, SPANS, MOMENTS)
def test_all_after_a_moment_can_be_uncovered(floor: int, added: list[tuple[int, int]], after: int) -> None:
    spans = Spans(floor, added)

    spans.uncover(after)

    assert {m for m in range(1, 61) if m in spans} == {m for m in naive(floor, added) if m <= after}


@given(MOMENTS, SPANS, MOMENTS, MOMENTS)
def test_what_is_covered_within_two_moments_is_found(
    floor: int, added: list[tuple[int, int]], start: int, end: int
) -> None:
    found = [m for low, high in Spans(floor, added).within(start, end) for m in range(low + 1, high + 1)]

    assert found == sorted(m for m in naive(floor, added) if start < m <= end)


@given(MOMENTS, SPANS)
def test_they_are_the_same_after_being_written_down(floor: int, added: list[tuple[int, int]]) -> None:
    spans = Spans(floor, added)

    again = Spans(spans.floor, list(spans))

    assert (again.floor, list(again)) == (spans.floor, list(spans))


def test_two_days_of_seconds_become_one_number() -> None:
    spans = Spans(0)
    for second in range(47 * 3600):
        spans.add(second * 1000, second * 1000 + 1000)

    assert (spans.floor, list(spans)) == (47 * 3_600_000, [])
