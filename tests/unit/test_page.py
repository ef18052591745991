"""The status page as text: what it says, that nothing from outside becomes markup, what it costs. (How it looks: tests/browser.)"""

from __future__ import annotations

import gc
import json
import math
import re
import tracemalloc
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.account import Fate
from bridge.backlog import Backlog
from bridge.points import Batch, Condition, Glance, Obstacle, Outcome, Receipt, Rejection, Report, Settlement
from bridge.states import State
from bridge.status import About, Board, Memory, Snapshot
from bridge.web import charts, writing
from bridge.web.markup import tag
from bridge.web.page import page
from tests.scripted.clock import Clock

NOW = 1_795_262_425.0  # 2026-11-21T12:00:25Z
GRID = NOW - 25
HOUR = 3600.0


class Read(HTMLParser):
    """What a browser would make of it: elements with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def snapshot(report: Report | None = None, about: About | None = None, text: str = "", **memory: object) -> Snapshot:
    """One cycle at noon, of which one point was rejected; ``text`` stands wherever something from outside can stand."""
    backlog = Backlog(None)
    clock = Clock(GRID)
    backlog.in_force(GRID - 60, 60.0, "digest", "{}")
    rejection = Rejection(text, {text: text}, text, 400, text)
    cycle = backlog.begin(GRID - 60, GRID, [Batch.pack([b"{}"] * 3)])
    cycle.verdict(0, Receipt(accepted=2, rejected=1, rejections=(rejection,)))
    cycle.end()
    board = Board(clock, lambda: Memory(backlog.account, **memory), clock, about=about)  # type: ignore[arg-type]
    board.selected(text)
    if report:
        board.record(report)
    clock.now = NOW
    return board.snapshot()


def report(**changes: object) -> Report:
    outcomes = {Outcome.ACCEPTED: 2, Outcome.REJECTED: 1}
    return Report(GRID, Settlement.SETTLED, outcomes, **{"condition": Condition.DELIVERING, **changes})  # type: ignore[arg-type]


def words(text: str) -> str:
    """The text, with spaces as one types them."""
    return Read(text).text.replace("\N{NARROW NO-BREAK SPACE}", " ")


# But for what cannot stand in HTML ("preprocessing the input stream" of the standard): controls, noncharacters, halves.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cn", "Cs")))


@given(text=TEXT, attribute=TEXT)
def test_a_text_is_read_as_it_was_given(text: str, attribute: str) -> None:
    read = Read(tag("p", text, title=attribute).text)

    assert read.elements == [("p", {"title": attribute})]
    assert read.text == text


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "&lt;b&gt;</title><b>",
        "'`é\N{NARROW NO-BREAK SPACE}]]>",
    ],
)
def test_nothing_from_outside_becomes_markup(text: str) -> None:
    def of(one: str) -> Read:
        told = report(metrics={one: Glance(1, (one,), 1.0)}, absent=(one,), left_out={one: 1}, problems=(one,))
        return Read(
            page(snapshot(told, About(one, one, one, 60.0, one, {one: one}), one, trouble=one, problems=(one,)))
        )

    hostile, harmless = of(text), of("harmless")
    assert [name for name, _ in hostile.elements] == [name for name, _ in harmless.elements]
    assert [sorted(each) for _, each in hostile.elements] == [sorted(each) for _, each in harmless.elements]
    told = hostile.text.replace(json.dumps(text)[1:-1], text)  # in the line of KQL
    assert told.count(text) == harmless.text.count("harmless") > 15


def test_what_cannot_stand_in_a_page_does_not_keep_it_from_being_shown() -> None:
    assert page(snapshot(report(problems=("\x00\x1b \ud800",)))).isascii()


def test_the_page_is_allowed_nothing_of_its_own_policy_s_breaches() -> None:
    """No inline style, script or handler; nothing from elsewhere."""
    elements = Read(page(snapshot(report()))).elements

    named = [name for _, attributes in elements for name in attributes]
    assert [name for name in named if name == "style" or name.startswith("on")] == []
    assert [name for name, _ in elements if name == "style"] == []
    assert [attributes["src"] for name, attributes in elements if name == "script"] == ["page.js"]
    assert [one for one in re.findall(r'(?:href|src)="([^"]*)"', page(snapshot())) if ":" in one or "//" in one] == []


def test_every_identifier_stands_once() -> None:
    identifiers = [each["id"] for _, each in Read(page(snapshot(report()))).elements if "id" in each]

    assert sorted(set(identifiers)) == sorted(identifiers)


def test_it_says_the_state_what_is_known_and_what_to_do() -> None:
    text = words(page(snapshot(report(condition=Condition.QUOTA, problems=("Azure answered 439",)))))

    assert "quota reached" in text
    assert "since 12:00:00, for 25 s" in text
    assert "Azure answered 439" in text
    assert State.QUOTA.remedy in text


def test_every_state_has_a_tone_and_those_that_are_good_look_so() -> None:
    assert set(charts.TONES) == set(State)
    assert {state for state, tone in charts.TONES.items() if tone is charts.Tone.GOOD} == {State.DELIVERING}


def test_every_fate_has_words() -> None:
    assert set(charts.FATES) == set(Fate)


def test_the_account_of_the_last_hour_and_since_the_start_add_up() -> None:
    text = page(snapshot(report()))

    columns = re.findall(r"<tr[^>]*><th[^>]*>(?:<span[^>]*>(.)</span>)? ?([a-z ]+)</th>((?:<td[^>]*>\d+</td>)+)", text)
    rows = [(sign, name, *map(int, re.findall(r">(\d+)<", cells))) for sign, name, cells in columns]
    assert rows == [
        *(("", "read", 3, 3), ("=", "accepted", 2, 2), ("+", "rejected", 1, 1), ("+", "expired", 0, 0)),
        *(("+", "waiting", 0, 0), ("+", "not finite", 0, 0), ("+", "left out", 0, 0)),
        *(("", "due", 1, 1), ("=", "settled", 1, 1), ("+", "waiting", 0, 0), ("+", "expired", 0, 0)),
        ("+", "no data", 0, 0),
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seconds": 0.083}, "3 points read, 2 accepted, in 83 ms"),
        ({"obstacle": Obstacle.PROMETHEUS}, "it could not be read, in 0 ms"),
        ({"billed_bytes": 25_000}, "about 1.08 GB"),
        ({}, "not known yet"),
        ({"absent": ("nv_x", "nv_y")}, "Without a series now: nv_x, nv_y"),
        ({"metrics": {"m": Glance(2, ("a", "b"), 1234.5)}, "left_out": {"big": 30000}}, "big (30 000 series)"),
        ({"metrics": {"m": Glance(2, ("a", "b"), 12345.5)}}, "ma, b212 346"),
    ],
)
def test_it_says_what_the_newest_cycle_did(changes: dict, said: str) -> None:
    assert said in words(page(snapshot(report(**changes))))


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0.123456, "0.1235"),
        (12.0, "12"),
        (999.96, "1000"),
        (1234.5, "1 234"),
        (-5e6, "-5 000 000"),
        (2e20, "2e+20"),
        (math.nan, "–"),
    ],
)
def test_a_value_has_four_digits_or_is_whole(number: float, said: str) -> None:
    assert writing.value(number).replace("\N{NARROW NO-BREAK SPACE}", " ") == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (3600, "1 h"),
        (8130, "2 h 15 min"),
        (86_430, "1 d"),
        (180_000, "2 d 2 h"),
        (-5, "0 s"),
    ],
)
def test_a_span_has_two_units_at_most(seconds: float, said: str) -> None:
    assert writing.length(seconds).replace("\N{NARROW NO-BREAK SPACE}", " ") == said


@pytest.mark.parametrize(
    ("moment", "said"),
    [(GRID, "12:00:00"), (GRID - 12 * HOUR - 1, "20 Nov 23:59:59"), (GRID - 86_400 * 365, "21 Nov 2025 12:00:00")],
)
def test_a_moment_has_its_day_and_year_where_they_are_not_today_s(moment: float, said: str) -> None:
    assert writing.clock(moment, NOW) == said


def cells() -> st.SearchStrategy[list[tuple[float, float, Fate]]]:
    """Stretches without overlap, oldest first, of which neighbours differ."""
    pieces = st.lists(st.tuples(st.integers(1, 40), st.booleans(), st.sampled_from(Fate)), max_size=600)

    def laid(drawn: list[tuple[int, bool, Fate]]) -> Iterator[tuple[float, float, Fate]]:
        moment = NOW - 50 * HOUR
        for minutes, apart, fate in drawn:
            moment += 60 * apart
            yield moment, moment + 60 * minutes, fate
            moment += 60 * minutes

    return pieces.map(lambda drawn: [one for one in laid(drawn) if one[1] <= NOW])


@given(cells())
def test_whatever_became_of_a_moment_is_drawn_there_or_something_worse(
    timeline: list[tuple[float, float, Fate]],
) -> None:
    drawn = charts.drawn(timeline, NOW)
    rank = list(charts.FATES).index

    assert len(drawn) <= 400
    for start, end, fate in timeline:
        if end > NOW - charts.SPAN:
            middle = (max(start, NOW - charts.SPAN) + end) / 2
            (there,) = [one for one in drawn if one[0] < middle <= one[1]]
            assert rank(there[2]) >= rank(fate)
            assert charts.FATES[fate] in there[3]


def test_a_bridge_whose_every_second_cycle_has_no_data_is_drawn_by_slots() -> None:
    fates = (Fate.DELIVERED, Fate.NO_DATA)
    timeline = [(NOW - 60 * (n + 1), NOW - 60 * n, fates[n % 2]) for n in range(2880)][::-1]

    drawn = charts.drawn(timeline, NOW)

    assert len(drawn) == 289
    assert {one[2:] for one in drawn[1:-1]} == {(Fate.NO_DATA, "delivered · no data")}
    assert charts.totals(timeline, NOW) == {Fate.DELIVERED: 24 * HOUR, Fate.NO_DATA: 24 * HOUR}


def test_the_timeline_ends_now_and_begins_48_hours_ago() -> None:
    drawn = charts.drawn(
        [(NOW - 60 * HOUR, NOW - 36 * HOUR, Fate.EXPIRED), (NOW - 12 * HOUR, NOW, Fate.DELIVERED)], NOW
    )

    rects = [
        each for name, each in Read(charts.timeline(drawn, NOW, "").text).elements if name == "rect" and "fill" in each
    ]
    assert [(each["class"], each["x"], each["width"]) for each in rects] == [
        ("delivered", "75%", "25%"),
        ("expired", "0%", "25%"),
    ]


@pytest.mark.parametrize(
    ("values", "minutes", "path"),
    [
        ([1.0, 2.0, 3.0], 1, "M0 18h0L1 10L2 2"),
        ([1.0, math.nan, 3.0], 1, "M0 18h0M2 2h0"),
        ([1.0, math.nan, 3.0], 2, "M0 18h0L2 2"),
        ([5.0, 5.0], 1, "M0 10h0L1 10"),
    ],
)
def test_a_line_breaks_where_a_cycle_was_not_read(values: list[float], minutes: int, path: str) -> None:
    (drawn,) = [each["d"] for name, each in Read(charts.sparkline(values, minutes).text).elements if name == "path"]

    assert drawn == path


def test_the_last_hour_of_a_metric_ends_now_and_not_with_the_newest_reading() -> None:
    board = Board(clock := Clock(NOW), lambda: Memory(Backlog(None).account), clock)
    for minute in range(60):
        board.record(Report(GRID - (69 - minute) * 60, Settlement.SETTLED, {}, metrics={"m": Glance(1, (), minute)}))

    (path,) = re.findall(r'class="sparkline".*?<path d="([^"]*)"', page(board.snapshot()))
    assert path.startswith("M0 18")
    assert path.endswith("L49 2")


def test_the_last_hour_is_whole_where_this_clock_is_behind_that_of_prometheus() -> None:
    board = Board(clock := Clock(NOW), lambda: Memory(Backlog(None).account), clock)
    for minute in range(60):
        board.record(Report(GRID + minute * 60, Settlement.SETTLED, {}, metrics={"m": Glance(1, (), minute)}))

    (path,) = re.findall(r'class="sparkline".*?<path d="([^"]*)"', page(board.snapshot()))
    assert path.count("L") == 59


def test_board_and_page_of_a_hundred_metrics_cost_less_than_a_megabyte() -> None:
    backlog = Backlog(None)
    clock = Clock(NOW)
    names = [f"nv_some_metric_of_triton_{number}" for number in range(100)]
    page(snapshot(report(metrics={"m": Glance(1, (), 1.0)})))  # what is made once, at the first
    gc.collect()
    tracemalloc.start()
    try:
        board = Board(clock, lambda: Memory(backlog.account), clock)
        for minute in range(120):
            metrics = {name: Glance(8, ("model", "version"), minute / 7) for name in names}
            board.record(report(metrics=metrics))
        text = page(board.snapshot())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert text.count("sparkline") == 100
    assert peak < 1_000_000
