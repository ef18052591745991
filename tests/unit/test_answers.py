"""All questions of a grid time, and those that follow from their answers."""

from __future__ import annotations

import re

import pytest

from bridge.answers import Asker, Interval, gather
from bridge.points import Series, Sighting, identity
from bridge.queries import Kind, Question, Window
from bridge.selection import Selection
from bridge.telemetry import translate
from tests.unit.telemetry.answers import INTERVAL, UP, T, rows, select, series


class Shown:
    """What a Prometheus holds, asked by the names alone, and what it was asked."""

    def __init__(self, *found: Series) -> None:
        self.found = found
        self.asked: list[Question] = []

    def ask(self, question: Question) -> list[Series]:
        self.asked.append(question)
        if question.kind is Kind.UP:
            return [UP]
        [names] = re.findall(r'__name__=~"([^"]*)"', question.expr)
        return [one for one in self.found if re.fullmatch(names, one.labels["__name__"])]

    def gather(self, selection: Selection) -> list[Series]:
        interval = Interval(T - INTERVAL, T, Window(INTERVAL, 15), "")
        answers = gather(selection, interval, Asker(self.ask, self.ask, lambda: 35.0), [])
        assert answers is not None
        return [*answers.values, *answers.samples]


def test_a_series_that_two_questions_bring_is_there_once() -> None:
    """A glob and a name in selectors of their own, for all do not fit into one URL; and other matchers."""
    names = [f"a_{number:03}_{'x' * 100}" for number in range(80)]
    shown = Shown(series(names[0], (-5, 1)), series(names[-1], (-5, 2)))

    for mode in ("value", "stats"):
        entries = [{"metric": name, "mode": mode} for name in ("a_*", *names)]
        shown.asked = []
        assert shown.gather(select(*entries)) == list(shown.found)
        assert len(shown.asked) > 2

    matched = [{"metric": glob, "match": match, "mode": "stats"} for glob, match in (("a_*", 'y=""'), ("*x", 'z=""'))]
    assert shown.gather(select(*matched)) == list(shown.found)


@pytest.mark.parametrize(
    "seen",
    [
        Sighting(T - 50, "t:8002", None),
        Sighting(T - 1, "t:8002", {identity(series("m").labels): "120"}),
    ],
    ids=["a closed port", "the end of a run, asked for again"],
)
def test_what_the_bridge_saw_itself_is_no_scrape(seen: Sighting) -> None:
    """Statistics are of scrapes, and so is an instant rate: a closed port was no gauge at zero."""
    shown = Shown(series("m", (-30, 100), (-15, 110), (-2, 120)))
    selection = select({"metric": "m", "mode": "stats"}, {"metric": "m", "mode": "irate", "name": "rate"})
    interval = Interval(T - INTERVAL, T, Window(INTERVAL, 15), "")
    found = []
    for known in ([], [seen]):
        answers = gather(selection, interval, Asker(shown.ask, shown.ask, lambda: 35.0), [], known=known)
        assert answers is not None
        found.append(rows(translate(selection, answers, interval.cut, max_series=9)))

    assert found[0] == found[1]
    assert [row[1] for row in found[0]["m"]] == [(3, 330, 100, 120)]
