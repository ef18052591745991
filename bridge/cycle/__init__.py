"""Takes a grid time T, gives a Report: ask, translate, post, record. The only joiner of the stages.

A gap is worked on in the same way, by the selection and the interval of its time; so is the end of a run, for an
interval that ends when the run does. Leftovers are posted again as they are.

    Gap ──asking──▶ Reading ──encode──▶ batches ──backlog──▶ posting──▶ receipts ──▶ Report
       (queries, prometheus, telemetry)    (written)    (delivery, recorded)

Nothing here raises for what Prometheus or Application Insights do: a cycle that could not be read or delivered is a
Report that says so, and a gap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from bridge.account import Gap
from bridge.backlog import Backlog, OpenCycle
from bridge.billing import estimated
from bridge.cycle.asking import Asking, Source, Terms
from bridge.cycle.patience import Patience
from bridge.cycle.posting import Posting, Sink
from bridge.envelopes import Encoder
from bridge.errors import BridgeError, PrometheusError
from bridge.instruments import Instruments
from bridge.logs import of_cycle
from bridge.points import Obstacle, Outcome, Receipt, Report, Settlement
from bridge.queries import Window
from bridge.selection import Selection, parse
from bridge.telemetry import Reading
from bridge.witness import Witness

__all__ = ["Cycle", "Patience", "Sink", "Source", "Terms"]

_LAST_QUESTIONS = 3.0  # seconds for a Prometheus that may have ended already
_SELECTIONS_KEPT = 8  # of gaps from before a change of metrics.json


class Cycle:
    """The spine. One cycle at a time."""

    def __init__(
        self,
        terms: Terms,
        source: Source,
        encoder: Encoder,
        sink: Sink,
        instruments: Instruments,
        witness: Witness,
        backlog: Backlog,
        patience: Patience,
    ) -> None:
        self.interval = terms.interval
        self.backlog = backlog
        self.patience = patience
        self._witness = witness
        self._asking = Asking(terms, source, witness, patience)
        self._encoder = encoder
        self._sink = sink
        self._posting = Posting(sink, patience)
        ending = patience.unstopped()
        self._last_asking = Asking(terms, source, witness, ending)
        self._last_posting = Posting(sink, ending)
        self._instruments = instruments
        self._parsed = lru_cache(_SELECTIONS_KEPT)(parse)

    def now(self) -> float | None:
        """Prometheus' clock (epoch s); None where it does not answer."""
        try:
            return self._asking.now()
        except PrometheusError:
            return None

    def newest(self, now: float) -> float:
        """The newest grid time that is due at ``now``, by Prometheus' clock."""
        return self._asking.newest(now)

    def landed(self, now: float) -> float:
        """The same without a grid: what fell due by then had its turn, whatever the interval was."""
        return self._asking.landed(now)

    def in_force(self, selection: Selection, now: float) -> None:
        """Send this selection from the next grid time on."""
        self.backlog.in_force(now, self.interval, selection.digest, selection.text)

    def paused(self) -> Receipt | None:
        """Why nothing may be posted now; None where it may."""
        return self._sink.paused()

    def run(self, time: float) -> Report | None:
        """Do the work for T as soon as it is due. None: it was not to be waited for, or is settled already."""
        begun = self.patience.monotonic()
        try:
            deadline = self._asking.settle(time)
        except PrometheusError as error:
            return self._unread(time, error, begun) if self.backlog.gap(time) else None
        gap = None if deadline is None else self.backlog.gap(time)
        if gap is None or deadline is None:
            return None
        return self._work(gap, deadline, patient=True)

    def repair(self, gap: Gap, deadline: float) -> Report:
        """The same for a gap, tried once, until the deadline (a reading of ``monotonic``)."""
        return self._work(gap, deadline, patient=False)

    def post_again(self, leftover: OpenCycle, deadline: float) -> Report:
        """Post what was left over of a cycle, once. The Report's points are those of its batches."""
        begun = self.patience.monotonic()
        receipts, settlement = _post(self._posting, leftover, deadline, patient=False)
        return self._count(_report(leftover, receipts, settlement), begun)

    def close(self, tried: float, seen: tuple[float, str] | None, seconds: float) -> Report | None:
        """Close the account at the end of a run: one more row a series, up to now; None where there is nothing.

        What fell due by ``tried`` had its turn; ``seen`` is when and what stood on Triton's port last. The next
        start goes on from what was counted and seen.
        """
        asking, begun = self._last_asking, self.patience.monotonic()
        deadline = begun + seconds
        asked_until = min(deadline, begun + _LAST_QUESTIONS)
        problems: list[str] = []
        try:
            last_scrape, target = asking.last_scrape(asked_until)
            end, text = seen or (last_scrape, None)
            gap = self.backlog.gap(end)
            if gap is None or (target is None and text is None):
                return None
            # A grid time that passed meanwhile is counted with the rest. On its own it might be asked for too early: a
            # scrape that lands late, with an earlier time, would be in neither row.
            while gap.start > tried and (before := self.backlog.gap(gap.start)):
                if before.digest != gap.digest:  # one row cannot be of two selections: the next start asks for it
                    break
                gap = gap._replace(start=before.start)
            due = asking.due(gap, self._selection(gap), asked_until)
            if end - gap.start > due.window.interval:
                due = replace(due, window=Window(float(math.ceil(end - gap.start)), due.window.scrape_interval))
            reading, sighting = asking.end(due, text, target, problems)
        except BridgeError as error:
            return self._unread(seen[0] if seen else self.patience.clock(), error, begun)
        self._witness.saw(sighting)
        if not self._witness.durable:
            problems.append("a restart that does not know of the last interval would count it again: it is not posted")
            return self._count(_unposted(gap, reading, problems), begun)
        with of_cycle(gap.time):
            return self._deliver(self._last_posting, gap, reading, problems, deadline, begun, patient=True)

    def _work(self, gap: Gap, deadline: float, *, patient: bool) -> Report:
        begun = self.patience.monotonic()
        problems: list[str] = []
        try:
            reading = self._asking.read(self._asking.due(gap, self._selection(gap), deadline), problems)
        except BridgeError as error:
            return self._unread(gap.time, error, begun)
        if reading is None:
            self.backlog.settle(gap.start, gap.time, Settlement.NO_DATA, {})
            return self._count(Report(gap.time, Settlement.NO_DATA, {}, problems=tuple(problems)), begun)
        return self._deliver(self._posting, gap, reading, problems, deadline, begun, patient=patient)

    def _deliver(
        self,
        posting: Posting,
        gap: Gap,
        reading: Reading,
        problems: Sequence[str],
        deadline: float,
        begun: float,
        *,
        patient: bool,
    ) -> Report:
        unsent = _unsent(reading)
        batches = list(self._encoder.batches(reading.metrics))
        if not batches:
            self.backlog.settle(gap.start, gap.time, Settlement.SETTLED, unsent)
            report = Report(gap.time, Settlement.SETTLED, dict.fromkeys(Outcome, 0) | unsent, problems=tuple(problems))
        else:
            cycle = self.backlog.begin(
                gap.start,
                gap.time,
                batches,
                not_finite=unsent[Outcome.NOT_FINITE],
                left_out=unsent[Outcome.LEFT_OUT],
            )
            receipts, settlement = _post(posting, cycle, deadline, patient=patient)
            report = _report(cycle, receipts, settlement, problems)
            report = replace(report, outcomes={**report.outcomes, **unsent})
        return self._count(
            replace(
                report,
                metrics=reading.glances if patient else {},
                billed_bytes=estimated(self._encoder, reading.metrics) if patient else 0,
                absent=reading.missing,
                left_out=reading.left_out,
            ),
            begun,
        )

    def _selection(self, gap: Gap) -> Selection:
        """What to ask for. Raises ConfigurationError where this version cannot read what another one wrote."""
        return self._parsed(self.backlog.selection(gap.digest))

    def _unread(self, time: float, error: BridgeError, begun: float) -> Report:
        obstacle = Obstacle.PROMETHEUS if isinstance(error, PrometheusError) else Obstacle.SELECTION
        return self._count(Report(time, Settlement.WAITING, {}, problems=(str(error),), obstacle=obstacle), begun)

    def _count(self, report: Report, begun: float) -> Report:
        report = replace(report, seconds=self.patience.monotonic() - begun)
        self._instruments.count(report)
        return report


def _post(posting: Posting, cycle: OpenCycle, deadline: float, *, patient: bool) -> tuple[list[Receipt], Settlement]:
    try:
        receipts = posting.deliver(cycle, deadline, patient=patient)
    except Exception:
        cycle.end()  # whatever failed: it waits, and is not under way for ever
        raise
    return receipts, cycle.end()


def _unsent(reading: Reading) -> dict[Outcome, int]:
    return {
        Outcome.NOT_FINITE: sum(reading.not_finite.values()),
        Outcome.LEFT_OUT: sum(reading.left_out.values()),
    }


def _unposted(gap: Gap, reading: Reading, problems: Sequence[str]) -> Report:
    waiting = {Outcome.WAITING: sum(reading.series.values())}
    return Report(gap.time, Settlement.WAITING, {**waiting, **_unsent(reading)}, problems=tuple(problems))


def _report(
    cycle: OpenCycle, receipts: Sequence[Receipt], settlement: Settlement, problems: Sequence[str] = ()
) -> Report:
    waiting = sum(cycle.batch(number).points for number in cycle.waiting)
    outcomes: Mapping[Outcome, int] = {
        Outcome.ACCEPTED: sum(receipt.accepted for receipt in receipts),
        Outcome.REJECTED: sum(receipt.rejected for receipt in receipts),
        Outcome.EXPIRED: sum(receipt.expired for receipt in receipts),
        Outcome.WAITING: waiting,
    }
    told = waiting or not outcomes[Outcome.ACCEPTED]
    detail = receipts[-1].detail if receipts and told else ""
    return Report(
        cycle.time,
        settlement,
        outcomes,
        rejections=tuple(rejection for receipt in receipts for rejection in receipt.rejections),
        problems=(*problems, detail) if detail else tuple(problems),
        condition=receipts[-1].condition if receipts else None,
        unconfirmed=sum(receipt.unconfirmed for receipt in receipts),
        possibly_repeated=sum(receipt.possibly_repeated for receipt in receipts),
        posts=sum(receipt.posts for receipt in receipts),
        sent_bytes=sum(receipt.sent_bytes for receipt in receipts),
    )
