"""Takes alarms, gives turns of the loop: the newest grid time, then what waits, and what a person is told of it."""

from __future__ import annotations

import gc
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable

from bridge.account import Account
from bridge.backlog import Backlog
from bridge.cycle import Cycle
from bridge.errors import ConfigurationError
from bridge.instruments import Instruments
from bridge.logs import of_cycle
from bridge.points import Outcome, Report, Settlement
from bridge.repair import Repair, faulty
from bridge.selection import SelectionFile, difference
from bridge.status import About, Board, Memory
from bridge.times import utc

log = logging.getLogger(__name__)

_PARTS_A_COLLECTION = 20


class Turns:
    """One turn an alarm: find the newest grid time and run its cycle, then work on what waits until the next alarm.

    ``limit`` (s) is how far back something may wait.
    """

    def __init__(
        self,
        cycle: Cycle,
        instruments: Instruments,
        selection: SelectionFile,
        stop: threading.Event,
        clock: Callable[[], float] = time.time,
        *,
        limit: float = 47 * 3600.0,
        about: About | None = None,
    ) -> None:
        backlog = self._backlog = cycle.backlog
        self.board = Board(clock, lambda: Memory(backlog.account, backlog.trouble, backlog.problems), about=about)
        self.board.selected(selection.current.digest)
        instruments.follow(self.board.snapshot, limit=limit)
        self.idle = threading.Event()
        self.idle.set()
        self._cycle = cycle
        self._repair = Repair(cycle)
        self._selection = selection
        self._stop = stop
        self._clock = clock
        self._limit = limit
        self._tried: float | None = None  # the grid time that was worked on last
        self._stuck = False  # whether nothing of that got through
        self._told = self._told_at = 0.0  # what time it was, and the reading of ``monotonic`` then
        self._absent: tuple[str, ...] = ()

    def turn(self) -> None:
        """Run the newest cycle that is due, then repair until the next alarm.

        Never raises: the next alarm must find the loop alive.
        """
        self.idle.clear()
        try:
            rung = True
            while rung and not self._stop.is_set():
                alarm = self._clock() + self._until_alarm()
                self._look_at_selection()
                report = self._newest()
                self._look_at_orders()
                self._work_off(report)
                collect_between_cycles()
                rung = self._clock() >= alarm  # meanwhile, and nobody else heard it
        except Exception as error:
            log.exception("this turn failed by a fault of the bridge itself; please report it")
            self.board.record(faulty(self._clock(), error))
        finally:
            self.board.turned()
            self.idle.set()

    def close(self, seen: tuple[float, str] | None, seconds: float) -> None:
        """Close the account at the end of a run, when no turn is under way any more (``Cycle.close``). Never raises."""
        if self._backlog.account.origin is None:
            return
        if not self._backlog.durable:
            log.warning("the last interval is not posted: a restart that does not know of it would count it again")
            return
        tried = max(self._tried or 0.0, self._cycle.landed(self._told or self._clock()))
        try:
            with of_cycle(seen[0] if seen else self._clock()):
                report = self._cycle.close(tried, seen, seconds)
        except Exception:
            log.exception("the account could not be closed by a fault of the bridge itself; please report it")
            return
        if report is not None:
            with of_cycle(report.time):
                self._record(report)

    def _look_at_selection(self) -> None:
        """Take over a changed metrics.json; a bad one changes nothing."""
        before = self._selection.current
        try:
            selection = self._selection.look()
        except ConfigurationError as error:
            for finding in error.findings:
                # Written out: each is a problem of its own, and none is held back as the repetition of another.
                log.error(f"{self._selection.path} was changed and cannot be used: {finding}")  # noqa: G004, TRY400
            self.board.not_selected(map(str, error.findings))
            return
        if selection is None:
            return
        self.board.selected(selection.digest)
        what = difference(before, selection)
        log.info(
            "%s was changed: selection %s from the next grid time on; %s", self._selection.path, selection.digest, what
        )

    def _look_at_orders(self) -> None:
        """Take what ``triton-bridge backfill`` asked for."""
        for order in self._backlog.orders():
            log.info("asked for again: %s to %s", utc(order.start), utc(order.end))

    def _newest(self) -> Report | None:
        """Run the newest cycle, and the next if it is due before the next alarm; the last report, None without any."""
        report = None
        while not self._stop.is_set():
            now = self._tell_time()
            newest, latest = self._cycle.newest(now), self._cycle.newest(now + self._until_alarm())
            while newest <= latest and not self._is_to_do(newest):
                newest += self._cycle.interval
            if newest > latest:
                break
            with of_cycle(newest):
                found = self._cycle.run(newest)
                if found is None:
                    break
                report, self._tried = found, newest
                self._record(report)
        return report

    def _is_to_do(self, time: float) -> bool:
        """Whether no turn has tried it yet; what fell due before a change of the interval is on another grid, and a gap."""
        gap = self._backlog.hole(time)
        return gap is not None and gap.interval == self._cycle.interval and time != self._tried

    def _tell_time(self) -> float:
        """What time it is by Prometheus' clock, going on from its last answer where there is none; the selection too."""
        told, monotonic = self._cycle.now(), self._cycle.patience.monotonic()
        now = told if told is not None else self._told + monotonic - self._told_at if self._told else self._clock()
        if now < self._told - self._cycle.interval:
            log.warning("the clock went back by %.0f s: what is settled already is not posted again", self._told - now)
            self._stuck = False  # that was of another time; the backlog must hear of this one
        self._told, self._told_at = now, monotonic
        self._cycle.in_force(self._selection.current, now)
        return now

    def _until_alarm(self) -> float:
        """Seconds until the next alarm."""
        return self._cycle.interval - self._clock() % self._cycle.interval

    def _work_off(self, report: Report | None) -> None:
        """Expire, and repair until the next alarm; not where the newest cycle got nothing through. ``report`` is of it."""
        if report:
            expire(self._backlog, report, self._limit)
            self._stuck = report.settlement is Settlement.WAITING and not report.outcomes.get(Outcome.ACCEPTED)
        # What Prometheus has not scraped yet would have no data for ever: only its own clock says how far that is.
        now = None if self._stuck else self._cycle.now()
        if now is None:
            return
        # What waits still of the newest cycle was tried just now, for as long as there was time.
        last = report.time - self._cycle.interval if report else math.inf
        done: Counter[Settlement] = Counter()
        points, held_up = 0, ""
        until = self._cycle.patience.monotonic() + self._until_alarm()
        for number, part in enumerate(self._repair.reports(self._cycle.newest(now), until, within=(-math.inf, last))):
            done[part.settlement] += 1
            points += part.outcomes.get(Outcome.ACCEPTED, 0)
            if part.settlement is Settlement.WAITING:
                held_up = "; ".join(part.problems)
            self.board.turned()
            tell_rejections(part)
            if number % _PARTS_A_COLLECTION == 0:
                collect_between_cycles()
        if done:  # else what failed is left to rest, and why is known
            self.board.repaired(held_up)
        if set(done) - {Settlement.WAITING}:
            what = ", ".join(f"{count} cycles {settlement.value}" for settlement, count in done.items())
            log.info("repair: %s; %d points accepted; %s", what, points, tell_waiting(self._backlog.account))
        if held_up:
            log.warning("the repair goes on in the next turn: %s", held_up)

    def _record(self, report: Report) -> None:
        self.board.record(report)
        tell(report)
        if report.outcomes and report.absent != self._absent:
            self._absent = report.absent
            tell_absent(report)


def expire(backlog: Backlog, newest: Report, limit: float) -> None:
    """Give up what has waited for longer than ``limit`` (s), once the newest cycle, of that report, was accepted.

    That shows that the service's clock agrees with ours.
    """
    if newest.outcomes.get(Outcome.ACCEPTED) and (expired := backlog.expire(newest.time - limit)):
        log.error(f"{expired} cycles expired: they waited for more than {limit / 3600:g} h")  # noqa: G004 — each counts


def tell(report: Report) -> None:
    """One line a cycle, and one more for each thing that a person should know."""
    points = ", ".join(f"{count} {outcome.value}" for outcome, count in report.outcomes.items() if count)
    log.info(
        "cycle %s: %s, %s, %s (%s), %d bytes in %s, %.0f ms",
        utc(report.time),
        report.settlement.value,
        counted(len(report.metrics), "metric"),
        counted(report.read, "point"),
        points or "none",
        report.sent_bytes,
        counted(report.posts, "post"),
        report.seconds * 1000,
    )
    if report.settlement is Settlement.NO_DATA:
        log.warning("Prometheus scraped nothing in the interval before %s", utc(report.time))
    if report.settlement is Settlement.WAITING:
        waiting = report.outcomes.get(Outcome.WAITING, 0)
        what = f"{waiting} points were not delivered yet" if report.outcomes else "it could not be read yet"
        # Written out: each gap is a problem of its own, and none is held back as the repetition of another.
        log.error(f"gap at {utc(report.time)}: {what}: {'; '.join(report.problems)}")  # noqa: G004
    else:
        for problem in report.problems:
            log.warning("%s", problem)
    for name, count in report.left_out.items():
        log.warning("%s left out with its %d series: BRIDGE_MAX_SERIES is reached", name, count)
    tell_rejections(report)


def tell_waiting(account: Account) -> str:
    """How much waits."""
    count, oldest = account.cycles[Settlement.WAITING], account.oldest_waiting
    return "nothing waits" if oldest is None else f"{count} cycles wait, the oldest of {utc(oldest)}"


def tell_rejections(report: Report) -> None:
    """One line for each point that the service will never take."""
    with of_cycle(report.time):
        for rejection in report.rejections:
            log.warning("%s rejected: %d %s", rejection.metric, rejection.status, rejection.reason)


def tell_absent(report: Report) -> None:
    """One line that names the selected metrics of which nothing was there to send."""
    if report.absent:
        log.warning("nothing to send of %s: triton-bridge check says why", ", ".join(report.absent))


def counted(number: int, noun: str) -> str:
    """A number of things as logs show it: 1 post, 2 posts."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def collect_between_cycles() -> None:
    """Call it after each cycle: let Python's cycle collector run now, and not while 10,000 points are being made.

    None of their objects could be freed by it, and at its own pace it takes a quarter of a cycle's CPU.
    """
    gc.collect()
    gc.disable()
