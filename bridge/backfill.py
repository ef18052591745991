"""Takes a stretch of time that a person wants posted, gives its progress until nothing of it waits.

It is posted here where no other triton-bridge works with the folder (``post``); else that one is asked (``Backlog.order``)
and watched (``follow``).
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, TypeVar

from bridge.account import Account
from bridge.backlog import Backlog, Stretch
from bridge.cycle import Cycle, Source
from bridge.durations import format_duration
from bridge.errors import BridgeError, ConfigurationError, Finding, PrometheusRefused
from bridge.points import Outcome, Settlement
from bridge.repair import Repair
from bridge.retry import backoff
from bridge.settings import syntax
from bridge.settings.syntax import Wrong
from bridge.times import grid_time, settle_delay, utc
from bridge.turns import tell_rejections

log = logging.getLogger(__name__)

_ROUND = 60.0  # seconds that one question to Prometheus may be repeated for before the next cycle has its turn
_LOOK_EVERY = 1.0  # seconds
_QUIET = 10.0  # seconds without any news of the other bridge, or two intervals, before its end is thought of
_REMEDY = "write --start '2026-11-21 10:00', with or without an --end, or --last 6h"

T = TypeVar("T")


class Progress(NamedTuple):
    """So many cycles of ``total`` are done."""

    done: int
    total: int


class Wish(NamedTuple):
    """What a person wrote: two times (epoch s; no end: now), or ``last``, so many seconds up to now."""

    start: float | None
    end: float | None
    last: float | None

    @classmethod
    def read(cls, start: str | None, end: str | None, last: str | None) -> Wish:
        """Raises ConfigurationError with everything that is wrong, each with the option that it was given by."""
        findings: list[Finding] = []

        def parsed(option: str, text: str | None, parse: Callable[[str], T]) -> T | None:
            try:
                return None if text is None else parse(text)
            except Wrong as wrong:
                findings.append(Finding(option, wrong.problem, wrong.remedy))
                return None

        wish = cls(
            parsed("--start", start, syntax.when),
            parsed("--end", end, syntax.when),
            parsed("--last", last, syntax.duration("1s", "1y")),
        )
        if last and (start or end):
            findings.append(Finding("--last", "is given beside another stretch of time", _REMEDY))
        elif not (last or start):
            findings.append(Finding("--start", "is missing, so that no stretch of time is named", _REMEDY))
        if wish.start is not None and wish.end is not None and wish.start >= wish.end:
            findings.append(Finding("--end", "is not later than --start", "the earlier time is the --start"))
        if findings:
            raise ConfigurationError(findings)
        return wish

    def bounds(self, now: float, newest: float, limit: float) -> tuple[float, float]:
        """(start, end], no later than ``newest``, the newest grid time that is due.

        Raises ConfigurationError where that is empty, or begins more than ``limit`` (s) ago.
        """
        option = "--start" if self.last is None else "--last"
        start = self.start if self.start is not None else now - (self.last or 0)
        end = newest if self.end is None else min(self.end, newest)
        # A minute on: until it is typed, or a running bridge has begun, time goes on too.
        earliest = math.ceil((now - limit) / 60 + 1) * 60
        if self.last is not None and self.last <= limit:
            start = max(start, earliest)
        if start < now - limit:
            problem = f"{shown(start)} is further back than BRIDGE_BACKFILL_LIMIT={format_duration(limit)} allows"
            raise ConfigurationError([Finding(option, problem, f"the earliest possible time is {shown(earliest)}")])
        if start >= end:
            problem = f"nothing has fallen due after {shown(start)} yet"
            raise ConfigurationError([Finding(option, problem, f"the newest grid time is {shown(newest)}")])
        return start, end


def due(source: Source, interval: float, at_least: float) -> tuple[float, float]:
    """Prometheus' clock, and the newest grid time of which every scrape has landed (epoch s).

    ``at_least`` (s) is the settle delay that was set. Raises PrometheusError where it does not answer.
    """
    try:
        timeouts = [target.scrape_timeout for target in source.targets()]
    except PrometheusRefused:  # something like Prometheus, that scrapes nothing itself
        timeouts = []
    now = source.now()
    return now, grid_time(now - settle_delay(at_least, timeouts), interval)


def shown(moment: float) -> str:
    """A time as a person knows it, and in UTC; either can be given to an option."""
    local = datetime.fromtimestamp(math.floor(moment)).astimezone()
    return f"{local.isoformat(' ')} ({utc(moment)})"


def plan(stretch: Stretch) -> str:
    """What stands of a stretch, in two lines."""
    never = stretch.cycles - stretch.settled - stretch.waiting
    return (
        f"from {shown(stretch.start)} to {shown(stretch.end)}\n"
        f"{stretch.cycles} cycles: {stretch.settled} settled already, {stretch.waiting} waiting, {never} never begun"
    )


def post(cycle: Cycle, newest: float, start: float, end: float) -> Iterator[Progress]:
    """Post what waits of (start, end], oldest first, whatever Prometheus and the service do meanwhile.

    It ends when nothing waits any more, when the bridge is told to stop, and where the backlog is not to be repaired.
    ``newest`` is the newest grid time that is due.
    """
    backlog, patience, repair = cycle.backlog, cycle.patience, Repair(cycle)
    left = total = backlog.stretch(start, end).waiting
    done, failures, problem = 0, 0, ""
    yield Progress(done, total)
    while left and backlog.repairable:
        before = done
        for report in repair.reports(newest, patience.monotonic() + _ROUND, within=(start, end)):
            tell_rejections(report)
            if report.settlement is Settlement.WAITING:
                problem = "; ".join(report.problems)
            else:
                done += 1
            yield Progress(done, total)
        left = backlog.stretch(start, end).waiting
        if not left or patience.stop.is_set():
            break
        failures = 0 if done > before else failures + 1
        rest = backoff(failures, 1) if failures else 0
        if paused := cycle.paused():
            problem, rest = paused.detail, (paused.not_before or 0) - patience.clock()
        if rest > 0:
            # Written out: each is a problem of its own, and none is held back as the repetition of another.
            log.warning(f"{problem}: going on in %.0f s", rest)  # noqa: G004
            patience.sleep(rest)
    yield Progress(total - left, total)


def follow(
    folder: Path,
    stretch: Stretch,
    total: int,
    pause: Callable[[float], bool],
    *,
    quiet: float = _QUIET,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Watch another triton-bridge post ``total`` cycles of a stretch that it was asked for.

    ``pause`` waits so many seconds, and says whether to give up. After ``quiet`` s without news it is looked whether
    the other one is there still: raises BridgeError where it is not.
    """
    news, since = None, monotonic()
    while True:
        backlog = Backlog(folder)
        account = backlog.account
        left = total
        if account.origin is not None and not backlog.ordered:
            left = backlog.stretch(stretch.start, stretch.end).waiting
        yield Progress(max(0, total - left), total)
        if not left:
            return
        if account != news:
            news, since = account, monotonic()
        elif monotonic() - since > quiet and _nobody_has(folder):
            raise BridgeError(
                "the triton-bridge that was asked has ended, and goes on at its next start"
                " — start it, or give this command again without --yes"
            )
        if pause(_LOOK_EVERY):
            return


def _nobody_has(folder: Path) -> bool:
    """Whether the lock is free. One that starts at that very moment would not get it, so this is asked rarely."""
    probe = Backlog(folder)
    try:
        probe.lock()
    except ConfigurationError:
        return False
    probe.close()
    return True


class Result(NamedTuple):
    """What became of a backfill: a line that says so, and lines that say what is missing for good, and why."""

    summary: str
    losses: tuple[str, ...]

    @classmethod
    def between(cls, before: Account, after: Account, seconds: float) -> Result:
        """What the account took in between two moments."""
        cycles = {one: after.cycles[one] - before.cycles[one] for one in Settlement}
        points = {one: after.points[one] - before.points[one] for one in after.points}
        parts = [f"{cycles[Settlement.SETTLED]} cycles posted", f"{points[Outcome.ACCEPTED]} points accepted"]
        if repeated := after.possibly_repeated - before.possibly_repeated:
            parts.append(f"{repeated} of them possibly repeated")
        if cycles[Settlement.NO_DATA]:
            parts.append(f"{cycles[Settlement.NO_DATA]} cycles without data")
        parts.append(f"{seconds:.1f} s")
        kept, known = after.rejections, before.rejections  # newest first, and no more than so many
        new = kept[: next(n for n in range(len(kept) + 1) if kept[n:] == known[: len(kept) - n])]
        reasons = Counter(f"{one.metric}: {one.status} {one.reason}" for _, one in new)
        losses = [f"{count} points rejected: {reason}" for reason, count in reasons.most_common()]
        if unnamed := points[Outcome.REJECTED] - len(new):
            losses.append(f"{unnamed} points more rejected")
        if cycles[Settlement.EXPIRED] or points[Outcome.EXPIRED]:
            losses.append(
                f"{cycles[Settlement.EXPIRED]} cycles and {points[Outcome.EXPIRED]} points expired:"
                " they were older than is taken"
            )
        return cls(", ".join(parts), tuple(losses))
