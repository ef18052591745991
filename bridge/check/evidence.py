"""Takes settings, a selection and a Prometheus, gives what all findings look at: everything asked once, and a dry cycle."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeVar

from bridge.answers import Asker, Interval, gather
from bridge.check.kinds import Kinds
from bridge.errors import PrometheusRefused, PrometheusUnreachable
from bridge.points import Series, identity
from bridge.prometheus import Prometheus, Rule, Target
from bridge.queries import Question, Window
from bridge.selection import Entry, Mode, Relabelling, Selection
from bridge.settings import Settings
from bridge.telemetry import Answers, Found, Reading, translate
from bridge.telemetry.dimensions import dimensions
from bridge.times import grid_time, settle_delay

T = TypeVar("T")


class Row(NamedTuple):
    """What becomes of one series, or of one group of them: its labels, ``__name__`` too where it has one, and its dimensions.

    ``unchanged`` are the dimensions without what ``rename`` and ``add`` do.
    """

    name: str
    labels: dict[str, str]
    unchanged: dict[str, str]
    dimensions: dict[str, str]


@dataclass(frozen=True)
class Dry:
    """A cycle that posts nothing: the newest grid time's real rows, none left out, and what Prometheus answered for them.

    ``left_out`` are the metrics that would be, with their sizes; ``failed`` says why a query failed, by its entry's place.
    """

    answers: Answers
    found: Found
    reading: Reading
    left_out: Mapping[str, int]
    failed: Mapping[str, str]

    def rows(self, entry: Entry) -> Iterator[Row]:
        """What becomes of the series that an entry finds and sends; equal ones once."""
        seen = set()
        for series in self.found.all(entry):
            labels = dict(series.labels)
            if entry.mode is Mode.HISTOGRAM:
                labels["__name__"] = entry.metric_of(labels["__name__"])
                labels.pop("le", None)
            metric = entry.name if entry.query else labels["__name__"]
            name = entry.published(metric)
            if self.found.owners[name] is not entry:
                continue
            if entry.grouping:
                kept = entry.grouping.keeps
                labels = {key: text for key, text in labels.items() if key == "__name__" or kept(key)}
            if (key := identity(labels)) not in seen:
                seen.add(key)
                plain = dimensions(labels, replace(entry, labels=Relabelling()))
                yield Row(name, labels, plain, dimensions(labels, entry))


@dataclass(frozen=True)
class Evidence:
    """What Prometheus says now, and would have a cycle send. ``dry`` is None where it was not asked yet, or scraped nothing.

    ``asked`` is our clock (epoch s) before and after Prometheus was asked for ``now``. ``untold`` names what something like Prometheus, that scrapes nothing itself, does not tell.
    """

    settings: Settings
    selection: Selection
    now: float
    asked: tuple[float, float]
    targets: Sequence[Target]
    rules: Sequence[Rule]
    names: frozenset[str]
    kinds: Kinds
    untold: tuple[str, ...]
    dry: Dry | None = None
    scraped: bool = True

    @cached_property
    def interval(self) -> Interval:
        """The newest one whose scrapes have all landed."""
        settings = self.settings
        settled = self.now - settle_delay(settings.settle_delay, (one.scrape_timeout for one in self.targets))
        end = grid_time(settled, settings.interval)
        window = Window(settings.interval, self._longest(self.targets))
        return Interval(end - settings.interval, end, window, settings.match)

    @cached_property
    def ours(self) -> list[Target]:
        """The targets that BRIDGE_MATCH does not rule out."""
        if self.dry is None:
            return list(self.targets)
        up = {(one.labels.get("job", ""), one.labels.get("instance", "")) for one in self.dry.answers.up}
        return [one for one in self.targets if (one.job, one.instance) in up]

    @property
    def scrape_interval(self) -> float:
        """The longest of our targets (s)."""
        return self._longest(self.ours)

    def _longest(self, targets: Sequence[Target]) -> float:
        return max((one.scrape_interval for one in targets), default=self.settings.scrape_interval)


def look(settings: Settings, selection: Selection, prometheus: Prometheus, clock: Callable[[], float]) -> Evidence:
    """What Prometheus says now. Raises PrometheusError."""
    untold: list[str] = []

    def told(what: str, ask: Callable[[], T], otherwise: T) -> T:
        try:
            return ask()
        except PrometheusRefused:
            untold.append(what)
            return otherwise

    none: Mapping[str, str] = {}
    before, now, after = clock(), prometheus.now(), clock()
    return Evidence(
        settings,
        selection,
        now,
        (before, after),
        told("targets", prometheus.targets, []),
        told("rules", prometheus.rules, []),
        frozenset(prometheus.names()),
        Kinds(told("metadata", prometheus.kinds, none)),
        tuple(untold),
    )


def read(evidence: Evidence, prometheus: Prometheus) -> Evidence:
    """The same with a dry cycle. Raises PrometheusError."""
    interval, selection = evidence.interval, evidence.selection
    away: list[PrometheusUnreachable] = []

    def ask(question: Question) -> list[Series]:
        return prometheus.ask(question.expr, interval.time)

    def theirs(question: Question) -> list[Series]:
        try:
            return ask(question)
        except PrometheusUnreachable as error:  # no fault of the query
            away.append(error)
            raise

    def lookback() -> float:
        try:
            return prometheus.lookback()
        except PrometheusRefused:
            return math.inf

    problems: list[str] = []
    answers = gather(selection, interval, Asker(ask, theirs, lookback), problems)
    if away:
        raise away[0]
    if answers is None:
        return replace(evidence, scraped=False)
    limit = evidence.settings.max_series
    reading = translate(selection, answers, interval.cut, max_series=sys.maxsize)
    left_out: Mapping[str, int] = {}
    if reading.read > limit:
        left_out = translate(selection, answers, interval.cut, max_series=limit).left_out
    failed = {place: text for place, _, text in (problem.partition(".query: ") for problem in problems)}
    return replace(evidence, dry=Dry(answers, Found(selection, answers, interval.cut), reading, left_out, failed))
