"""Takes a grid time, gives the Reading for it: wait until it is due, ask all questions, translate the answers.

The end of a run is asked for too, off the grid: what was counted since the last grid time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge import exposition, matchers
from bridge.account import Gap
from bridge.answers import Asker, Interval, gather
from bridge.cycle.patience import Patience
from bridge.errors import PrometheusError
from bridge.points import Series, Sighting, identity
from bridge.prometheus import Target
from bridge.queries import Question, Window, up
from bridge.selection import Selection
from bridge.telemetry import Answers, Reading, translate
from bridge.times import grid_time, settle_delay
from bridge.witness import Witness

_NAMED = 3  # targets that are down


class Source(Protocol):
    """What a cycle needs of Prometheus; ``bridge.prometheus.Prometheus`` is the real one."""

    def now(self) -> float: ...
    def ask(self, expr: str, at: float) -> list[Series]: ...
    def targets(self) -> list[Target]: ...
    def lookback(self) -> float: ...


@dataclass(frozen=True)
class Terms:
    """What a cycle goes by; times in seconds. ``scrape_interval`` stands in where Prometheus tells of no targets.

    ``target`` is the host:port of the Triton that the bridge's own Prometheus scrapes; None where it has none.
    """

    interval: float
    settle_delay: float
    scrape_interval: float
    match: str
    max_series: int
    target: str | None = None


@dataclass(frozen=True)
class Due:
    """An interval (start, time] whose scrapes have all landed, and the selection that was in force for it.

    ``deadline`` is a reading of the patience's ``monotonic``.
    """

    start: float
    time: float
    selection: Selection
    window: Window
    deadline: float


class Asking:
    """The first half of a cycle. Every method that asks raises a PrometheusError where there is no answer in time."""

    def __init__(self, terms: Terms, source: Source, witness: Witness, patience: Patience) -> None:
        self._terms = terms
        self._source = source
        self._witness = witness
        self._patience = patience
        self._settle_delay = terms.settle_delay  # as last found; the targets' time-outs may ask for more
        self._scrape_interval: float | None = None  # as last found

    def now(self) -> float:
        """Prometheus' clock, epoch s. Asked once."""
        return self._source.now()

    def newest(self, now: float) -> float:
        """The newest grid time of which every scrape has landed at ``now``, as far as is known yet."""
        return grid_time(self.landed(now), self._terms.interval)

    def landed(self, now: float) -> float:
        """Up to when every scrape has landed at ``now``, as far as is known yet."""
        return now - self._settle_delay

    def settle(self, time: float) -> float | None:
        """Wait until every scrape begun by T has landed: the deadline for its work, a reading of ``monotonic``.

        None: that was not to be waited for, or not any longer.
        """
        interval, patience = self._terms.interval, self._patience
        deadline = patience.monotonic() + interval
        self._look_at_targets(deadline)
        due = time + self._settle_delay
        while (ahead := due - (now := patience.ask(self._source.now, deadline))) > 0:
            if ahead > 2 * interval or patience.stop.is_set():
                return None
            patience.sleep(ahead)
        # A cycle that begins late still gets half an interval.
        return patience.monotonic() + max(time + interval - now, interval / 2)

    def due(self, gap: Gap, selection: Selection, deadline: float) -> Due:
        """What to ask for: a gap, until the deadline."""
        if self._scrape_interval is None:
            self._look_at_targets(deadline)
        assert self._scrape_interval
        return Due(gap.start, gap.time, selection, Window(gap.interval, self._scrape_interval), deadline)

    def _look_at_targets(self, deadline: float) -> None:
        untold: list[Target] = []
        targets = self._patience.ask(self._source.targets, deadline, refused=untold)
        self._settle_delay = settle_delay(self._terms.settle_delay, (one.scrape_timeout for one in targets))
        self._scrape_interval = max((one.scrape_interval for one in targets), default=self._terms.scrape_interval)

    def read(self, due: Due, problems: list[str]) -> Reading | None:
        """All answers for T, translated; None where Prometheus scraped nothing.

        Bad queries are told in ``problems``; where a metric is missing, targets that are down too.
        """
        answers = self._answers(due, problems)
        if answers is None:
            return None
        reading = self._translated(due, answers)
        if reading.missing:
            problems += _down(answers.up)
        return reading

    def last_scrape(self, deadline: float) -> tuple[float, Mapping[str, str] | None]:
        """When Prometheus last scraped anything, 0: not in an interval; the labels of our own target."""
        self._look_at_targets(deadline)
        window = Window(self._terms.interval, self._scrape_interval or self._terms.scrape_interval)
        now = self._patience.ask(self._source.now, deadline)
        scrapes = self._patience.ask(lambda: self._source.ask(up(window).expr, now), deadline)
        target = next((one.labels for one in scrapes if one.labels.get("instance") == self._terms.target), None)
        return max((time for one in scrapes for time, _ in one.samples), default=0.0), target

    def end(
        self, due: Due, seen: str | None, target: Mapping[str, str] | None, problems: list[str]
    ) -> tuple[Reading, Sighting]:
        """The Reading for an interval that ends with the run, and what the next start goes on from.

        ``seen`` is what stood on Triton's port at its end, ``target`` are the labels that Prometheus gives it.
        """
        sighting = None if seen is None else self._sighting(due, seen, target)
        answers = self._answers(due, problems, sighting)
        assert answers is not None, "there was a scrape, or a sighting stands for it"
        # The next count goes on from these values: a scrape under way may land yet, with an earlier time.
        counted = {identity(one.labels): one.samples[-1][1] for one in answers.samples}
        return self._translated(due, answers), Sighting(due.time, self._terms.target or "", counted)

    def _sighting(self, due: Due, text: str, target: Mapping[str, str] | None) -> Sighting:
        """The selected samples of an exposition, with the labels that Prometheus gives them."""
        instance = self._terms.target or ""
        # Before its first scrape a target has the labels that prometheus.yml gives it.
        labels = dict(target or {"job": "triton", "instance": instance})
        labels.pop("__name__", None)
        match = matchers.read(self._terms.match)
        scraped = ((exposition.scraped_labels(own, labels), value) for own, value in exposition.samples(text))
        values = {
            identity(series): value
            for series, value in scraped
            if match.fit(series) and any(entry.wants(series["__name__"]) for entry in due.selection.entries)
        }
        return Sighting(due.time, instance, values)

    def _translated(self, due: Due, answers: Answers) -> Reading:
        return translate(due.selection, answers, self._interval(due).cut, max_series=self._terms.max_series)

    def _interval(self, due: Due) -> Interval:
        return Interval(due.start, due.time, due.window, self._terms.match)

    def _answers(self, due: Due, problems: list[str], seen: Sighting | None = None) -> Answers | None:
        """Prometheus' answers for T; ``seen`` stands for a scrape at T."""
        begun = self._patience.monotonic()
        half = begun + (due.deadline - begun) / 2

        def own(question: Question) -> list[Series]:
            return self._patience.ask(lambda: self._source.ask(question.expr, due.time), due.deadline)

        def theirs(question: Question) -> list[Series]:
            # It may be slow or wrong for ever: no second try. All other points need time too, to be posted.
            if self._patience.monotonic() >= half:
                raise PrometheusError("not asked: those before it took half of the time")
            return self._source.ask(question.expr, due.time)

        def lookback() -> float:
            return self._patience.ask(self._source.lookback, due.deadline, refused=math.inf)

        asker = Asker(own, theirs, lookback)
        return gather(due.selection, self._interval(due), asker, problems, known=self._witness.sightings, seen=seen)


def _down(up: Iterable[Series]) -> Iterator[str]:
    """Sentences on the targets whose last scrape failed, the first of them by name."""
    down = sorted(
        f"{one.labels.get('job', '')} {one.labels.get('instance', '')}".strip()
        for one in up
        if one.samples and float(one.samples[-1][1]) == 0
    )
    for name in down[:_NAMED]:
        yield f"target {name} is down"
    if more := len(down[_NAMED:]):
        yield f"and {more} more"
