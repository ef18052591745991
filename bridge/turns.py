"""Takes alarms, gives turns of the loop: which grid time is next, what was missed, and what a person is told of it."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone

from bridge.cycle import Cycle
from bridge.errors import ConfigurationError
from bridge.instruments import Instruments
from bridge.points import Outcome, Report, Settlement
from bridge.selection import SelectionFile
from bridge.status import Board

log = logging.getLogger(__name__)


class Turns:
    """One turn an alarm: find the grid time, see what was missed, run the cycle, tell of it."""

    def __init__(
        self,
        cycle: Cycle,
        instruments: Instruments,
        stop: threading.Event,
        clock: Callable[[], float] = time.time,
        selection: SelectionFile | None = None,
    ) -> None:
        self.board = Board(clock)
        self.idle = threading.Event()
        self.idle.set()
        self._cycle = cycle
        self._instruments = instruments
        self._stop = stop
        self._clock = clock
        self._selection = selection
        if selection:
            self.board.selected(selection.current.digest)
        self._last: float | None = None
        self._absent: tuple[str, ...] = ()

    def turn(self) -> None:
        """Run the newest cycle that is due, and the one after it if its time has come meanwhile.

        Never raises: the next alarm must find the loop alive.
        """
        self.idle.clear()
        try:
            self._look_at_selection()
            while self._turn() and self._clock() >= self._next() and not self._stop.is_set():
                pass
        except Exception as error:
            log.exception("this cycle failed by a fault of the bridge itself; please report it")
            problem = f"a fault of the bridge itself ({type(error).__name__}): see the log, and please report it"
            self.board.record(Report(self._next(), Settlement.WAITING, {}, problems=(problem,)))
        finally:
            self.board.turned()
            self.idle.set()
            collect_between_cycles()

    def _look_at_selection(self) -> None:
        """Take over a changed metrics.json; a bad one changes nothing."""
        if self._selection is None:
            return
        before = {entry.name for entry in self._selection.current.entries}
        try:
            selection = self._selection.look()
        except ConfigurationError as error:
            for finding in error.findings:
                # Written out: each is a problem of its own, and none is held back as the repetition of another.
                log.error(f"{self._selection.path} was changed and cannot be used: {finding}")  # noqa: G004, TRY400
            self.board.not_selected(map(str, error.findings))
            self._instruments.reload_good.set(0)
            return
        if selection is None:
            return
        self._cycle.select(selection)
        self.board.selected(selection.digest)
        self._instruments.reload_good.set(1)
        now = {entry.name for entry in selection.entries}
        added, removed = ", ".join(sorted(now - before)) or "none", ", ".join(sorted(before - now)) or "none"
        log.info(
            "%s was changed: selection %s; added: %s; removed: %s",
            self._selection.path,
            selection.digest,
            added,
            removed,
        )

    def close(self, seen: tuple[float, str] | None, seconds: float) -> None:
        """Close the account at the end of a run, when no turn is under way any more (``Cycle.close``). Never raises."""
        witness = self._cycle.witness
        if self._last is None:
            return
        if not witness.durable:
            log.warning("the last interval is not posted: a restart that does not know of it would count it again")
            return
        try:
            report = self._cycle.close(max([self._last, *witness.counted[-1:]]), seen, seconds)
        except Exception:
            log.exception("the account could not be closed by a fault of the bridge itself; please report it")
            return
        if report is not None:
            self.board.record(report)
            tell(report)

    def _begin(self) -> float:
        """The grid time before the first that is worked on: the one up to which the run before has counted.

        Where that is not known, what fell due before the start is not begun: it may have been delivered.
        """
        counted, interval = self._cycle.witness.resume(), self._cycle.interval
        return self._cycle.next_time(None) if counted is None else counted // interval * interval

    def _next(self) -> float:
        """The grid time after the last one; now, before the first."""
        return self._clock() if self._last is None else self._last + self._cycle.interval

    def _turn(self) -> bool:
        """Run one cycle; whether it was due."""
        if self._last is None:
            self._last = self._begin()
        grid_time = self._cycle.next_time(self._last)
        report = self._cycle.run(grid_time)
        if report is None:
            return False
        if (missed := round((grid_time - self._last) / self._cycle.interval) - 1) > 0:
            log.error(f"{missed} grid times before {_utc(grid_time)} passed without a cycle")  # noqa: G004 — as a gap
            self._instruments.missed_cycles.inc(missed)
            self.board.missed(missed)
        self._last = grid_time
        self.board.record(report)
        tell(report)
        if report.outcomes and report.absent != self._absent:
            self._absent = report.absent
            tell_absent(report)
        return True


def tell(report: Report) -> None:
    """One line a cycle, and one more for each thing that a person should know."""
    points = ", ".join(f"{count} {outcome.value}" for outcome, count in report.outcomes.items() if count)
    log.info(
        "cycle %s: %s, %d metrics, %d points (%s), %d bytes in %d posts, %.0f ms",
        _utc(report.time),
        report.settlement.value,
        len(report.series),
        report.read,
        points or "none",
        report.sent_bytes,
        report.posts,
        report.seconds * 1000,
    )
    if report.settlement is Settlement.NO_DATA:
        log.warning("Prometheus scraped nothing in the interval before %s", _utc(report.time))
    if report.settlement is Settlement.WAITING:
        waiting = report.outcomes.get(Outcome.WAITING, 0)
        what = f"{waiting} points were not delivered" if report.outcomes else "it could not be read"
        # Written out: each gap is a problem of its own, and none is held back as the repetition of another.
        log.error(f"gap at {_utc(report.time)}: {what}: {'; '.join(report.problems)}")  # noqa: G004
    else:
        for problem in report.problems:
            log.warning("%s", problem)
    for name, count in report.left_out.items():
        log.warning("%s left out with its %d series: BRIDGE_MAX_SERIES is reached", name, count)
    for rejection in report.rejections:
        log.warning("%s rejected: %d %s", rejection.metric, rejection.status, rejection.reason)


def tell_absent(report: Report) -> None:
    """One line that names the selected metrics of which nothing was there to send."""
    if report.absent:
        log.warning("nothing to send of %s: triton-bridge check says why", ", ".join(report.absent))


def collect_between_cycles() -> None:
    """Call it after each cycle: let Python's cycle collector run now, and not while 10,000 points are being made.

    None of their objects could be freed by it, and at its own pace it takes a quarter of a cycle's CPU.
    """
    gc.collect()
    gc.disable()


def _utc(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
