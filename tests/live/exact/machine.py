"""Takes what happens to targets, gives a real Prometheus that saw it, what a bridge sends of it, and what the samples tell.

Each example is a machine of its own, asked as cycles ask: one grid time after another. What is expected comes from the
definition alone, sample by sample, without a word on intervals or questions.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st

from bridge.answers import Asker, Interval, gather
from bridge.points import Series
from bridge.prometheus import Prometheus
from bridge.queries import Question, Window
from bridge.selection import Selection, parse
from bridge.telemetry import translate
from examples import stack
from tests.remote_write import STALE, write

BEGIN = 472_224 * 3600.0  # on every grid
SCRAPE = 15.0
HOUR = 3600.0
Labels = frozenset[tuple[str, str]]
BOUNDED = settings(max_examples=25, derandomize=True, database=None)


class Ground:
    """A Prometheus, and a number for each example, so that none sees the samples of another."""

    def __init__(self, server: stack.PrometheusServer) -> None:
        self.server = server
        self.client = Prometheus(server.url)
        self.numbers = itertools.count()


# -- what happens ------------------------------------------------------------------------------------------------------


class Scrape(NamedTuple):
    """``state``: up; down (up is 0, all its series end); killed (the same, and nobody marks their end); missed."""

    time: float
    state: str


@st.composite
def scrapes(draw: st.DrawFn) -> list[Scrape]:
    """Scrapes of one target: some late, some at the very grid time; up to one pause within an hour, or beyond."""
    states = st.sampled_from(["up"] * 9 + ["down", "killed", "missed"])
    waits = st.sampled_from([SCRAPE, SCRAPE, SCRAPE, 14.993, 15.007, 2 * SCRAPE])
    turns = draw(st.lists(st.tuples(waits, states), min_size=10, max_size=24))
    pause_at, pause = draw(st.tuples(st.integers(0, 24), st.sampled_from([0.0, 0.0, 2400.0, 5000.0])))
    time = BEGIN + draw(st.integers(0, 40))
    found = []
    for number, (wait, state) in enumerate(turns):
        time = round(time + wait + (pause if number == pause_at else 0), 3)
        found.append(Scrape(time, state))
    return found


@dataclass
class Life:
    """A series: its raw samples, NaN among them, when it was marked as ended, and when its target was up."""

    labels: dict[str, str]
    up: list[float]
    samples: list[tuple[float, float]] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)

    @property
    def known(self) -> list[tuple[float, float]]:
        return [(time, value) for time, value in self.samples if not math.isnan(value)]

    def name(self, *kept: str) -> Labels:
        """What its row is told by; all its labels where none is said."""
        labels = {name: text for name, text in self.labels.items() if name != "__name__"}
        return frozenset((name, text) for name, text in labels.items() if name in (kept or labels))

    def end(self, time: float) -> None:
        if self.samples and (not self.ends or self.ends[-1] < self.samples[-1][0]):
            self.ends.append(time)


class Machine(NamedTuple):
    """Targets: of each the labels and its scrapes; and the series of all."""

    targets: list[tuple[dict[str, str], list[Scrape]]]
    lives: list[Life]


def write_down(ground: Ground, machine: Machine) -> str:
    """Write a machine's series; the matcher that tells them from all others."""
    example = {"example": str(next(ground.numbers))}
    ups = [
        (
            {"__name__": "up", **target, **example},
            [(scrape.time, float(scrape.state == "up")) for scrape in known if scrape.state != "missed"],
        )
        for target, known in machine.targets
    ]
    series = [
        (life.labels | example, sorted([*life.samples, *((time, STALE) for time in life.ends)], key=lambda s: s[0]))
        for life in machine.lives
    ]
    write(ground.server, [*ups, *series])
    return f'example="{example["example"]}"'


# -- what the bridge makes of it ---------------------------------------------------------------------------------------


def select(*metrics: dict[str, object]) -> Selection:
    return parse(json.dumps({"customMetrics": metrics}))


def grid(machine: Machine, interval: float) -> list[float]:
    last = max(known[-1].time for _, known in machine.targets)
    return [BEGIN + turn * interval for turn in range(1, math.ceil((last - BEGIN) / interval) + 2)]


Rows = dict[str, dict[Labels, Any]]


def cycle(ground: Ground, selection: Selection, match: str, interval: float, time: float) -> Rows:
    """The points of a grid time, by published name and dimensions, but for the label that tells the examples apart."""
    span = Interval(time - interval, time, Window(interval, SCRAPE), match)
    problems: list[str] = []

    def own(question: Question) -> list[Series]:
        return ground.client.ask(question.expr, time)

    answers = gather(selection, span, Asker(own, own, ground.client.lookback), problems)
    assert problems == []
    if answers is None:
        return {}
    reading = translate(selection, answers, span.cut, max_series=10_000)
    rows = {
        metric.name: {
            frozenset((name, text) for name, text in point.attributes.items() if name != "example"): point
            for point in metric.data.data_points
        }
        for metric in reading.metrics
    }
    assert {name: len(found) for name, found in rows.items()} == reading.series, "a row stands twice"
    return rows


def values(rows: Rows, name: str) -> dict[Labels, float]:
    return {labels: point.value for labels, point in rows.get(name, {}).items()}


def statistics(rows: Rows, name: str) -> dict[Labels, tuple[float, ...]]:
    return {labels: (p.count, p.sum, p.min, p.max) for labels, p in rows.get(name, {}).items()}


# -- what the samples tell ---------------------------------------------------------------------------------------------


def steps(life: Life) -> Iterator[tuple[float, float, float]]:
    """Of each known sample: its time, what it adds, and since when that was counted."""
    known = life.known
    for number, (time, value) in enumerate(known):
        before, last = known[number - 1] if number else (-math.inf, 0.0)
        seen = [up for up in life.up if time - HOUR < up < time]
        if time - before < HOUR:
            yield time, value - last if value >= last else value, before
        elif seen:
            yield time, value, seen[-1]  # its target was known, and it was not there
        else:
            yield time, 0.0, time  # a base line: it may have counted for days
