"""Takes a grid time T, gives a Report: ask, translate, post, record. The only joiner of the stages.

            ┌ up ┐
    T ──ask─┤    ├─▶ Answers ─translate─▶ metrics ─encode─▶ batches ─post─▶ Receipts ──▶ Report
            └ …  ┘ retried until the next cycle               retried until the next cycle

Nothing here raises for what Prometheus or Application Insights do: a cycle that could not be read or delivered is a
Report that says so.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from bridge.envelopes import Encoder
from bridge.errors import PrometheusError, PrometheusRefused
from bridge.instruments import Instruments
from bridge.points import Batch, Outcome, Receipt, Report, Series, Settlement
from bridge.prometheus import Target
from bridge.queries import Kind, Question, Window, history, questions, up
from bridge.retry import RetryDetails, policy
from bridge.selection import Selection
from bridge.telemetry import Answers, Cut, Reading, identity, orphans, scraped, translate

log = logging.getLogger(__name__)

LAST_POST = 8.0  # seconds for a post that is begun while the bridge is stopping

T = TypeVar("T")


class Source(Protocol):
    """What a cycle needs of Prometheus; ``bridge.prometheus.Prometheus`` is the real one."""

    def now(self) -> float: ...
    def ask(self, expr: str, at: float) -> list[Series]: ...
    def targets(self) -> list[Target]: ...
    def lookback(self) -> float: ...


class Sink(Protocol):
    """What a cycle needs of the endpoint; ``bridge.delivery.Delivery`` is the real one."""

    def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt: ...


@dataclass(frozen=True)
class Terms:
    """What a cycle goes by; times in seconds. ``scrape_interval`` stands in where Prometheus tells of no targets."""

    selection: Selection
    interval: float
    settle_delay: float
    scrape_interval: float
    match: str
    max_series: int


class Cycle:
    """The spine. One cycle at a time; ``stop`` ends all waiting, and lets what is under way try once more."""

    def __init__(
        self,
        terms: Terms,
        source: Source,
        encoder: Encoder,
        sink: Sink,
        instruments: Instruments,
        *,
        stop: threading.Event | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.terms = terms
        self._source = source
        self._encoder = encoder
        self._sink = sink
        self._instruments = instruments
        self._stop = stop or threading.Event()
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep or self._stop.wait
        self._settle_delay = terms.settle_delay  # as last found; the targets' time-outs may ask for more

    def next_time(self, last: float | None) -> float:
        """The newest grid time that is due by Prometheus' clock, or the one after ``last`` where that is done."""
        try:
            now = self._source.now()
        except PrometheusError:
            now = self._clock()  # the cycle will find Prometheus away, and say so
        interval = self.terms.interval
        newest = math.floor((now - self._settle_delay) / interval) * interval
        return newest if last is None or newest > last else last + interval

    def run(self, grid_time: float) -> Report | None:
        """Do the work for T. None: it was not due yet when the wait for it was ended."""
        started = self._monotonic()
        problems: list[str] = []
        try:
            window, left = self._settle(grid_time)
            if left is None:
                return None
            started = self._monotonic()
            deadline = started + left
            reading = self._read(grid_time, window, deadline, problems)
        except PrometheusError as error:
            report = Report(grid_time, Settlement.WAITING, {}, problems=(str(error),))
        else:
            if reading is None:
                report = Report(grid_time, Settlement.NO_DATA, {}, problems=tuple(problems))
            else:
                report = self._deliver(grid_time, reading, deadline, problems)
        report = replace(report, seconds=self._monotonic() - started)
        self._count(report)
        return report

    # -- ask ---------------------------------------------------------------------------------------------------------

    def _settle(self, grid_time: float) -> tuple[Window, float | None]:
        """Wait until every scrape begun by T has landed; the seconds left until the next cycle, None if stopped."""
        deadline = self._monotonic() + self.terms.interval
        untold: list[Target] = []
        targets = self._patiently(self._source.targets, deadline, refused=untold)
        window = Window(
            self.terms.interval,
            max((target.scrape_interval for target in targets), default=self.terms.scrape_interval),
        )
        timeout = max((target.scrape_timeout for target in targets), default=0.0)
        self._settle_delay = max(self.terms.settle_delay, timeout + 1)
        due = grid_time + self._settle_delay
        while (ahead := due - (now := self._patiently(self._source.now, deadline))) > 0:
            if ahead > 2 * self.terms.interval or self._stop.is_set():
                return window, None
            self._sleep(ahead)
        # A cycle that begins late still gets half an interval; the schedule skips no grid time for it.
        return window, max(grid_time + self.terms.interval - now, self.terms.interval / 2)

    def _read(self, grid_time: float, window: Window, deadline: float, problems: list[str]) -> Reading | None:
        """All answers for T, translated; None where Prometheus scraped nothing."""
        terms = self.terms
        cut = Cut(grid_time - terms.interval, grid_time, window.age_limit)

        def ask(question: Question) -> list[Series]:
            return self._patiently(lambda: self._source.ask(question.expr, grid_time), deadline)

        def ask_up(*, hour: bool) -> list[Series]:
            # Matchers may name labels that the metrics bear and ``up`` does not; then any scrape counts.
            return ask(up(window, match=terms.match, hour=hour)) or ask(up(window, hour=hour))

        scrapes = ask_up(hour=False)
        if not scraped(scrapes, cut):
            return None
        check_age = self._patiently(self._source.lookback, deadline, refused=math.inf) > window.age_limit
        found: dict[Kind, list[Series]] = {kind: [] for kind in Kind}
        expressions: dict[str, list[Series]] = {}
        for question in questions(terms.selection, window, match=terms.match, check_age=check_age):
            if question.entry is None:
                found[question.kind] += ask(question)
                continue
            try:
                expressions[question.entry.name] = ask(question)
            except PrometheusRefused as error:  # one bad query never holds up the others
                problems.append(f"{question.entry.place}.query: {error}")
        answers = Answers(
            values=found[Kind.VALUES],
            fresh=frozenset(identity(series.labels) for series in found[Kind.FRESH]) if check_age else None,
            samples=found[Kind.SAMPLES],
            expressions=expressions,
            up=scrapes,
        )
        if lost := orphans(answers.samples, terms.selection, cut):
            earlier = [series for question in history(lost, window, match=terms.match) for series in ask(question)]
            by_identity = {identity(series.labels): series.samples for series in earlier}
            answers = replace(answers, up=ask_up(hour=True), history=by_identity)
        return translate(terms.selection, answers, cut, max_series=terms.max_series)

    # -- post --------------------------------------------------------------------------------------------------------

    def _deliver(self, grid_time: float, reading: Reading, deadline: float, problems: list[str]) -> Report:
        """Post all points, and what must be posted again until the deadline."""
        waiting = list(self._encoder.batches(reading.metrics))
        receipts: list[Receipt] = []

        def post() -> Receipt | None:
            nonlocal waiting
            done, waiting = self._post_each(waiting, deadline)
            receipts.extend(done)
            return done[-1] if waiting else None

        last = self._retry(
            post,
            deadline,
            on=lambda cause: isinstance(cause, Receipt),
            wait_until=lambda receipt: self._monotonic_time(receipt.not_before),
        )
        if last is not None:
            problems.append(last.detail)
        outcomes = {
            Outcome.ACCEPTED: sum(receipt.accepted for receipt in receipts),
            Outcome.REJECTED: sum(receipt.rejected for receipt in receipts),
            Outcome.EXPIRED: sum(receipt.expired for receipt in receipts),
            Outcome.WAITING: sum(batch.points for batch in waiting),
            Outcome.NOT_FINITE: sum(reading.not_finite.values()),
            Outcome.LEFT_OUT: sum(reading.left_out.values()),
        }
        return Report(
            grid_time,
            Settlement.WAITING if waiting else Settlement.SETTLED,
            outcomes,
            series=reading.series,
            left_out=reading.left_out,
            rejections=tuple(rejection for receipt in receipts for rejection in receipt.rejections),
            problems=tuple(problems),
            condition=receipts[-1].condition if receipts else None,
            unconfirmed=sum(receipt.unconfirmed for receipt in receipts),
            possibly_repeated=sum(receipt.possibly_repeated for receipt in receipts),
            posts=sum(receipt.posts for receipt in receipts),
            sent_bytes=sum(receipt.sent_bytes for receipt in receipts),
        )

    def _post_each(self, batches: list[Batch], deadline: float) -> tuple[list[Receipt], list[Batch]]:
        """Post each batch once: the receipts, one that kept something last, and what must be posted again.

        Two batches in a row that get through nothing are enough to know that the others would not either; one alone
        may be at fault itself, and holds up no other.
        """
        receipts: list[Receipt] = []
        waiting: list[Batch] = []
        failed = 0
        for number, batch in enumerate(batches):
            left = deadline - self._monotonic()
            receipt = self._sink.post(batch, timeout=min(left, LAST_POST) if self._stop.is_set() else left)
            receipts.append(receipt)
            waiting += receipt.waiting
            failed = failed + 1 if receipt.waiting and not receipt.accepted else 0
            if failed == 2:
                waiting += batches[number + 1 :]
                break
        receipts.sort(key=lambda receipt: bool(receipt.waiting))  # stable: the newest news stays last
        return receipts, waiting

    # -- patience ----------------------------------------------------------------------------------------------------

    def _patiently(self, ask: Callable[[], T], deadline: float, *, refused: T | None = None) -> T:
        """Ask until there is an answer; ``refused`` is the answer where this Prometheus does not know the question."""
        try:
            return self._retry(ask, deadline, on=_worth_asking_again)
        except PrometheusRefused:
            if refused is None:
                raise
            return refused

    def _retry(
        self,
        attempt: Callable[[], T],
        deadline: float,
        *,
        on: Callable[[Any], bool],
        wait_until: Callable[[Any], float | None] = lambda _: None,
    ) -> T:
        retrying = policy(
            on=on,
            deadline=deadline,
            wait_until=wait_until,
            hook=_announce,
            stopping=self._stop.is_set,
            clock=self._monotonic,
            sleep=self._sleep,
        )
        return retrying(attempt)

    def _monotonic_time(self, epoch: float | None) -> float | None:
        return None if epoch is None else self._monotonic() + epoch - self._clock()

    # -- record ------------------------------------------------------------------------------------------------------

    def _count(self, report: Report) -> None:
        count = self._instruments
        count.cycles.labels(report.settlement.value).inc()
        for outcome, points in report.outcomes.items():
            if outcome is not Outcome.WAITING:
                count.points.labels(outcome.value).inc(points)
        count.posts.inc(report.posts)
        count.sent_bytes.inc(report.sent_bytes)
        count.unconfirmed.inc(report.unconfirmed)
        count.possibly_repeated.inc(report.possibly_repeated)
        count.cycle_seconds.set(report.seconds)
        # Until gaps are repaired, what was not delivered within its interval goes on waiting.
        if report.settlement is Settlement.WAITING:
            count.backlog_cycles.inc()
            count.waiting_points.inc(report.outcomes.get(Outcome.WAITING, 0))
        if report.outcomes.get(Outcome.ACCEPTED):
            count.last_delivered.set(report.time)


def _worth_asking_again(cause: object) -> bool:
    """Whether Prometheus may answer the same question another time; a wrong question stays wrong."""
    if isinstance(cause, PrometheusRefused):
        return cause.status == 429 or cause.status >= 500
    return isinstance(cause, PrometheusError)


def _announce(retry: RetryDetails) -> None:
    cause = retry.cause.detail if isinstance(retry.cause, Receipt) else retry.cause
    log.warning("trying again in %.1f s (attempt %d failed): %s", retry.next_wait, retry.attempt, cause)
