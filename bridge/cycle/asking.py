"""Takes a grid time, gives the Reading for it: wait until it is due, ask all questions, translate the answers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

from bridge.cycle.patience import Patience
from bridge.errors import PrometheusError
from bridge.points import Series
from bridge.prometheus import Target
from bridge.queries import Kind, Question, Window, history, questions, up
from bridge.selection import Selection
from bridge.telemetry import Answers, Cut, Reading, identity, latest_before, orphans, scraped, translate


class Source(Protocol):
    """What a cycle needs of Prometheus; ``bridge.prometheus.Prometheus`` is the real one."""

    def now(self) -> float: ...
    def ask(self, expr: str, at: float) -> list[Series]: ...
    def targets(self) -> list[Target]: ...
    def lookback(self) -> float: ...


@dataclass(frozen=True)
class Terms:
    """What a cycle goes by; times in seconds. ``scrape_interval`` stands in where Prometheus tells of no targets."""

    selection: Selection
    interval: float
    settle_delay: float
    scrape_interval: float
    match: str
    max_series: int


@dataclass(frozen=True)
class Due:
    """A grid time whose scrapes have all landed. ``deadline`` is a reading of the patience's ``monotonic``."""

    time: float
    window: Window
    deadline: float


class Asking:
    """The first half of a cycle. Every method that asks raises a PrometheusError where there is no answer in time."""

    def __init__(self, terms: Terms, source: Source, patience: Patience) -> None:
        self._terms = terms
        self._source = source
        self._patience = patience
        self._settle_delay = terms.settle_delay  # as last found; the targets' time-outs may ask for more

    def next_time(self, last: float | None) -> float:
        """The newest grid time that is due by Prometheus' clock, or the one after ``last`` where that is done."""
        try:
            now = self._source.now()
        except PrometheusError:
            now = self._patience.clock()  # the cycle will find Prometheus away, and say so
        interval = self._terms.interval
        newest = math.floor((now - self._settle_delay) / interval) * interval
        return newest if last is None or newest > last else last + interval

    def settle(self, grid_time: float) -> Due | None:
        """Wait until every scrape begun by T has landed; None if that was not to be waited for, or not any longer."""
        interval, patience = self._terms.interval, self._patience
        deadline = patience.monotonic() + interval
        untold: list[Target] = []
        targets = patience.ask(self._source.targets, deadline, refused=untold)
        longest = max((target.scrape_interval for target in targets), default=self._terms.scrape_interval)
        timeout = max((target.scrape_timeout for target in targets), default=0.0)
        self._settle_delay = max(self._terms.settle_delay, timeout + 1)
        due = grid_time + self._settle_delay
        while (ahead := due - (now := patience.ask(self._source.now, deadline))) > 0:
            if ahead > 2 * interval or patience.stop.is_set():
                return None
            patience.sleep(ahead)
        # A cycle that begins late still gets half an interval; the schedule skips no grid time for it.
        left = max(grid_time + interval - now, interval / 2)
        return Due(grid_time, Window(interval, longest), patience.monotonic() + left)

    def read(self, due: Due, problems: list[str]) -> Reading | None:
        """All answers for T, translated; None where Prometheus scraped nothing. Bad queries are told in ``problems``."""
        terms, window = self._terms, due.window
        cut = Cut(due.time - terms.interval, due.time, window.age_limit)

        def ask(question: Question) -> list[Series]:
            return self._patience.ask(lambda: self._source.ask(question.expr, due.time), due.deadline)

        def ask_up(*, hour: bool) -> list[Series]:
            # Matchers may name labels that the metrics bear and ``up`` does not; then any scrape counts.
            found = ask(up(window, match=terms.match, hour=hour))
            return found if found or not terms.match else ask(up(window, hour=hour))

        scrapes = ask_up(hour=False)
        if not scraped(scrapes, cut):
            return None
        check_age = self._patience.ask(self._source.lookback, due.deadline, refused=math.inf) > window.age_limit
        found: dict[Kind, list[Series]] = {kind: [] for kind in Kind}
        expressions: dict[str, list[Series]] = {}
        for question in questions(terms.selection, window, match=terms.match, check_age=check_age):
            if question.entry is None:
                found[question.kind] += ask(question)
                continue
            try:
                expressions[question.entry.name] = self._ask_once(question, due)
            except PrometheusError as error:  # one bad query never holds up the others
                problems.append(f"{question.entry.place}.query: {error}")
        answers = Answers(
            values=found[Kind.VALUES],
            fresh=frozenset(identity(series.labels) for series in found[Kind.FRESH]) if check_age else None,
            samples=found[Kind.SAMPLES],
            expressions=expressions,
            up=scrapes,
        )
        if lost := orphans(answers.samples, terms.selection, cut):
            earlier = {
                identity(series.labels): sample
                for question in history(lost, window, match=terms.match)
                for series in ask(question)
                if (sample := latest_before(series, cut))
            }
            answers = replace(answers, up=ask_up(hour=True), history=earlier)
        return translate(terms.selection, answers, cut, max_series=terms.max_series)

    def _ask_once(self, question: Question, due: Due) -> list[Series]:
        """The answer to a query of the user's own, which may be slow or wrong for ever: no second try."""
        series = self._source.ask(question.expr, due.time)
        if any(len(found.samples) > 1 for found in series):
            raise PrometheusError("it gives a range of samples and not one value a series: wrap it in a function")
        return series
