"""A hole is asked for in the cells of the grids that were in force: every moment once, none forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.backlog.eras import Era, Eras
from bridge.backlog.spans import Spans

ERAS = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 30)), min_size=1, max_size=5).map(
    lambda found: [Era(since, interval, f"{since}/{interval}") for since, interval in sorted(dict(found).items())]
)
HOLE = st.tuples(st.integers(0, 220), st.integers(0, 220)).map(lambda pair: (min(pair), max(pair)))


def in_force(eras: list[Era], moment: int) -> Era:
    """The era of the last millisecond before a moment."""
    return [era for era in eras if era.since < moment or era is eras[0]][-1]


@given(ERAS, HOLE)
def test_a_hole_is_cut_where_the_grid_in_force_or_the_era_changes(eras: list[Era], hole: tuple[int, int]) -> None:
    start, end = hole
    expected = [
        (moment, in_force(eras, moment))
        for moment in range(start + 1, end + 1)
        if moment == end or moment % in_force(eras, moment).interval == 0 or moment in {era.since for era in eras[1:]}
    ]

    pieces = list(Eras(eras).pieces(start, end))

    assert [(piece.end, piece.era) for piece in pieces] == expected
    assert [piece.start for piece in pieces] == [start, *(piece.end for piece in pieces)][:-1] if pieces else True
    assert Eras(eras).count(start, end) == len(pieces)


@given(ERAS, st.integers(0, 220))
def test_the_edge_before_a_moment_is_where_pieces_end(eras: list[Era], moment: int) -> None:
    edges = [piece.end for piece in Eras(eras).pieces(-40, 300)]

    assert Eras(eras).grid_before(moment) == max(edge for edge in edges if edge <= moment)


@given(ERAS, HOLE)
def test_the_cells_around_a_hole_are_whole(eras: list[Era], hole: tuple[int, int]) -> None:
    start, end = hole[0], hole[1] + 1
    edges = [piece.end for piece in Eras(eras).pieces(-40, 300)]

    assert Eras(eras).around(start, end) == (
        max(edge for edge in edges if edge <= start),
        min(edge for edge in edges if edge >= end),
    )


def test_an_era_in_which_nothing_is_open_is_forgotten() -> None:
    eras, spans = Eras(), Spans(0)
    eras.open(Era(0, 60, "a"), spans)
    spans.add(0, 120)
    eras.open(Era(120, 60, "b"), spans)
    eras.open(Era(240, 60, "c"), spans)

    assert [era.digest for era in eras] == ["b", "c"], "(120, 240] is open"


def test_a_change_that_is_changed_before_its_first_grid_time_never_counted() -> None:
    eras, spans = Eras(), Spans(0)
    for digest, since in (("a", 0), ("b", 120), ("c", 120)):
        eras.open(Era(since, 60, digest), spans)

    assert [era.digest for era in eras] == ["a", "c"]


def test_the_number_of_eras_is_bounded() -> None:
    eras, spans = Eras(), Spans(0)
    for number in range(100):
        eras.open(Era(number * 60, 60, str(number)), spans)

    assert [era.digest for era in eras] == [str(number) for number in range(36, 100)]
    assert next(eras.pieces(0, 60)).era.digest == "36", "what is older is asked for as the oldest known says"


def test_two_days_of_seconds_are_counted_without_being_made() -> None:
    assert Eras([Era(0, 1000, "a")]).count(500, 47 * 3_600_000) == 47 * 3600
