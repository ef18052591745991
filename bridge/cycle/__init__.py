"""Takes a grid time T, gives a Report: ask, translate, post, record. The only joiner of the stages.

The last row of a run is made the same way, for an interval that ends when the run does (``Cycle.close``).

    T ──asking──▶ Reading ──encode──▶ batches ──posting──▶ receipts ──▶ Report
       (queries, prometheus, telemetry)        (delivery)

Both halves are tried again until the next cycle (``patience``). Nothing here raises for what Prometheus or Application
Insights do: a cycle that could not be read or delivered is a Report that says so.
"""

from __future__ import annotations

from dataclasses import replace

from bridge.cycle.asking import Asking, Source, Terms
from bridge.cycle.patience import Patience
from bridge.cycle.posting import Delivered, Posting, Sink
from bridge.envelopes import Encoder
from bridge.errors import BridgeError, PrometheusError
from bridge.instruments import Instruments
from bridge.points import Outcome, Report, Settlement
from bridge.selection import Selection
from bridge.telemetry import Reading
from bridge.witness import Witness

__all__ = ["Cycle", "Patience", "Sink", "Source", "Terms"]

_LAST_QUESTIONS = 3.0  # seconds for a Prometheus that may have ended already


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
        patience: Patience,
    ) -> None:
        self.interval = terms.interval
        self.witness = witness
        self._asking = Asking(terms, source, witness, patience)
        self._encoder = encoder
        self._posting = Posting(sink, patience)
        ending = patience.unstopped()
        self._last_asking = Asking(terms, source, witness, ending)
        self._last_posting = Posting(sink, ending)
        self._instruments = instruments
        self._monotonic = patience.monotonic

    def select(self, selection: Selection) -> None:
        """Send this selection from the next cycle on."""
        self._asking.select(selection)
        self._last_asking.select(selection)

    def next_time(self, last: float | None) -> float:
        """The newest grid time that is due by Prometheus' clock, or the one after ``last`` where that is done."""
        return self._asking.next_time(last)

    def run(self, grid_time: float) -> Report | None:
        """Do the work for T. None: it was not due yet when the wait for it was ended."""
        begun = self._monotonic()
        problems: list[str] = []
        try:
            due = self._asking.settle(grid_time)
            if due is None:
                return None
            begun = self._monotonic()
            reading = self._asking.read(due, problems)
        except PrometheusError as error:
            report = Report(grid_time, Settlement.WAITING, {}, problems=(str(error),))
        else:
            if reading is None:
                report = Report(grid_time, Settlement.NO_DATA, {}, problems=tuple(problems))
            else:
                delivered = self._posting.deliver(self._encoder.batches(reading.metrics), due.deadline)
                report = _report(grid_time, reading, delivered, problems)
        return self._count(report, begun)

    def close(self, start: float, seen: tuple[float, str] | None, seconds: float) -> Report | None:
        """Close the account at the end of a run: one more row a series, for (start, now]; None where there is nothing.

        ``seen`` is when and what stood on Triton's port last. The next start goes on from what was counted and seen.
        """
        begun, problems = self._monotonic(), list[str]()
        deadline = begun + seconds
        try:
            ended = self._last_asking.end(start, seen, min(deadline, begun + _LAST_QUESTIONS), problems)
        except BridgeError as error:
            problem = f"what was counted after {start:.0f} is not posted: {error}"
            return self._count(Report(start, Settlement.WAITING, {}, problems=(problem,)), begun)
        if ended is None:
            return None
        end, reading, sighting = ended
        self.witness.saw(sighting)
        delivered = self._last_posting.deliver(self._encoder.batches(reading.metrics), deadline)
        report = _report(end, reading, delivered, problems)
        # Part of it delivered counts as all: the rest is told as lost, and nothing is counted twice.
        if report.settlement is Settlement.SETTLED or report.outcomes[Outcome.ACCEPTED]:
            self.witness.count_to(end)
        return self._count(report, begun)

    def _count(self, report: Report, begun: float) -> Report:
        report = replace(report, seconds=self._monotonic() - begun)
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
        return report


def _report(grid_time: float, reading: Reading, delivered: Delivered, problems: list[str]) -> Report:
    receipts = delivered.receipts
    outcomes = {
        Outcome.ACCEPTED: sum(receipt.accepted for receipt in receipts),
        Outcome.REJECTED: sum(receipt.rejected for receipt in receipts),
        Outcome.EXPIRED: sum(receipt.expired for receipt in receipts),
        Outcome.WAITING: sum(batch.points for batch in delivered.waiting),
        Outcome.NOT_FINITE: sum(reading.not_finite.values()),
        Outcome.LEFT_OUT: sum(reading.left_out.values()),
    }
    return Report(
        grid_time,
        Settlement.WAITING if delivered.waiting else Settlement.SETTLED,
        outcomes,
        series=reading.series,
        absent=reading.absent,
        left_out=reading.left_out,
        rejections=tuple(rejection for receipt in receipts for rejection in receipt.rejections),
        problems=(*problems, delivered.problem) if delivered.problem else tuple(problems),
        condition=receipts[-1].condition if receipts else None,
        unconfirmed=sum(receipt.unconfirmed for receipt in receipts),
        possibly_repeated=sum(receipt.possibly_repeated for receipt in receipts),
        posts=sum(receipt.posts for receipt in receipts),
        sent_bytes=sum(receipt.sent_bytes for receipt in receipts),
    )
