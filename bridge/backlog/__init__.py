"""Takes what was read and what became of it, gives what is still to be asked for or posted, and an account that adds up.

Prometheus keeps the data of an outage; kept here is what is settled, and the batches that nobody can make again.

__init__    the facade
open_cycle  the batches of one cycle, around their posts
books       the ledger and its folder, kept as one
ledger      events → what is settled, what waits (pure)
statement   a ledger → the account (pure; its nouns: ``bridge.account``)
stretch     how much of some time is settled (pure)
held        the batches of a cycle (pure)
chronicle   what became of the last two days (pure)
eras        intervals and selections, from when on (pure)
spans       sets of moments (pure)
journal     a ledger and its events ↔ lines of text (pure)
orders      what processes without the lock ask of the one that has it
recovery    a folder → a ledger, after whatever happened
store       events and batches → a folder
files       the system calls
"""

from __future__ import annotations

import logging
import time as _time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from bridge.account import Account, Detail, Gap
from bridge.backlog.books import Books
from bridge.backlog.files import Files, OsFiles
from bridge.backlog.open_cycle import OpenCycle, begun, reopened
from bridge.backlog.orders import Order, leave, left
from bridge.backlog.stretch import Stretch, stretch
from bridge.errors import BridgeError
from bridge.points import Batch, Outcome, Settlement

__all__ = ["Account", "Backlog", "Detail", "Files", "Gap", "OpenCycle", "Order", "Stretch"]

log = logging.getLogger(__name__)

_AHEAD = 2 * 3_600_000  # ms; the service takes nothing that is further ahead ("104"), so nothing was delivered there


class Backlog:
    """The memory of one bridge. Times are epoch seconds, exact to the millisecond; (start, time] is a cycle's interval.

    It never raises for what the disk does, but in ``order``. Until ``lock`` is called it has read the folder once, changes
    nothing there, and keeps in memory what it is told; without a folder it does that for ever.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        clock: Callable[[], float] = _time.time,
        files: Files | None = None,
    ) -> None:
        self._folder, self._files = folder, files or OsFiles()
        self._books = Books(folder, self._files, clock)

    @property
    def account(self) -> Account:
        """The account as it stands. Any thread may ask."""
        return self._books.account()

    @property
    def durable(self) -> bool:
        """Whether all of it is on disk."""
        return self._books.store.durable

    @property
    def trouble(self) -> str:
        """Why it is not, and what to do, in one sentence; empty where all is well."""
        return self._books.store.trouble

    @property
    def repairable(self) -> bool:
        """Whether to work on old gaps and leftovers now.

        Not while a journal stands on a disk that cannot be written: a restart would believe it, and do it all again.
        """
        return self._books.repairable

    @property
    def ordered(self) -> bool:
        """Whether an order of any process waited when the folder was read. What this shows then lacks that."""
        return self._books.ordered

    @property
    def problems(self) -> tuple[str, ...]:
        """What was damaged when the folder was read, and what is not known for it, in sentences."""
        return self._books.problems

    def lock(self) -> None:
        """Become the one that writes, and prove the folder writable.

        Raises ConfigurationError where another process works with it; it may be tried again then. What a process that
        was killed has begun becomes a gap, or leftovers.
        """
        self._books.lock()

    def close(self) -> None:
        """Let another process write. The kernel does the same at the end of this one."""
        self._books.store.unlock()

    def in_force(self, now: float, interval: float, digest: str, text: str) -> None:
        """From the next grid time on, this interval (s) and this selection count; call it at the start and at each change.

        The very first call begins the account: what fell due by ``now`` is never asked for.
        """
        eras, step, moment = self._books.ledger.eras, round(interval * 1000), _ms(now)
        if not eras or (eras.current.interval, eras.current.digest) != (step, digest):
            since = eras.grid_before(moment) if eras else moment // step * step
            self._books.record("era", since, step, digest, text, sync=True)

    def selection(self, digest: str) -> str:
        """The text of the metrics.json that a gap was, or is, to be asked for with."""
        return self._books.ledger.selections[digest]

    def gap(self, time: float) -> Gap | None:
        """What to ask for at ``time``, the end of a run included; None where it is settled. It falls due by that."""
        self._fell_due(_ms(time))
        return self.hole(time)

    def hole(self, time: float) -> Gap | None:
        """The same of a time that may lie ahead."""
        ledger, end = self._books.ledger, _ms(time)
        if end in ledger.spans:
            return None
        start = ledger.cell_start(end)
        (piece, *_) = ledger.eras.pieces(start, end)
        return Gap(start / 1000, end / 1000, piece.era.interval / 1000, piece.era.digest)

    def asked(self, time: float) -> Gap | None:
        """What was, or is, to be asked for at ``time``, settled or not; None where that is not known (any more)."""
        ledger, end = self._books.ledger, _ms(time)
        if not ledger.eras:
            return None
        if hole := self.hole(time):
            return hole
        begun = {held.time: held.start for held in ledger.held.values()}
        start = ledger.rows[end].start if end in ledger.rows else begun.get(end, ledger.eras.grid_before(end - 1))
        if start < next(iter(ledger.eras)).since:  # of an era that is forgotten
            return None
        (piece, *_) = ledger.eras.pieces(start, end)
        return Gap(start / 1000, end / 1000, piece.era.interval / 1000, piece.era.digest)

    def gaps(self, newest: float) -> Iterator[Gap]:
        """All grid times up to ``newest`` that are not settled, oldest first."""
        books, moment = self._books, _ms(newest)
        # What was accepted for a later time shows that it is this moment that is wrong.
        wrong = (books.ledger.last_delivered or 0) > moment + _AHEAD
        if books.ledger.spans.floor > moment + _AHEAD and not wrong:
            log.warning("the clock was more than two hours ahead, and is right again: what falls due now is new")
            books.record("back", moment)
        books.ledger.newest = edge = books.ledger.eras.grid_before(moment)
        for hole in list(books.ledger.spans.holes(edge)):
            for _, end, _ in books.ledger.eras.pieces(*hole):
                if gap := self.gap(end / 1000):
                    yield gap

    def expire(self, before: float) -> int:
        """Give up what fell due before that time; how many cycles did. Call it between two cycles."""
        ledger = self._books.ledger
        edge, known = ledger.eras.grid_before(_ms(before)), ledger.cycles[Settlement.EXPIRED]
        if ledger.overdue(edge):
            self._books.record("expire", edge)
        return ledger.cycles[Settlement.EXPIRED] - known

    def begin(
        self, start: float, time: float, batches: Iterable[Batch], *, not_finite: int = 0, left_out: int = 0
    ) -> OpenCycle:
        """A cycle was read: write its batches, before the first is posted."""
        return begun(self._books, _ms(start), _ms(time), batches, not_finite, left_out)

    def settle(self, start: float, time: float, settlement: Settlement, outcomes: Mapping[Outcome, int]) -> None:
        """A cycle without posts is done: there was no data, or nothing to send."""
        counts = {outcome.value: count for outcome, count in outcomes.items()}
        self._books.record("settle", _ms(start), _ms(time), settlement.value, counts)

    def stretch(self, start: float, end: float) -> Stretch:
        """How much of (start, end] is settled. Both go down to an edge of a cell; ``end`` is not later than now."""
        return stretch(self._books.ledger, _ms(start), _ms(end))

    def again(self, start: float, end: float, *, repeat: bool) -> None:
        """Let (start, end] fall due, aligned as in ``stretch``: what was never begun, with ``repeat`` all of it.

        Each cycle is due once more then, and points that were delivered will be there twice. Cells that left batches
        over stay as they are. Call ``in_force`` before, and this between two cycles.
        """
        self._again(Order(start, end, repeat))

    def order(self, start: float, end: float, *, repeat: bool) -> None:
        """Ask the process that has the lock to do ``again``; any process may.

        Raises BridgeError where that cannot be written. When this returns, it is done as soon as that process takes it,
        once, whatever ends in between.
        """
        if self._folder is None:
            raise BridgeError("no folder, no other triton-bridge to ask — set BRIDGE_STATE_DIR as that one has it")
        leave(self._folder, self._files, Order(start, end, repeat))

    def orders(self) -> list[Order]:
        """Take what was ordered: those that are done, on disk, and their files gone. Call it between two cycles.

        Without the lock, or while the disk cannot be written, they stay.
        """
        books, taken = self._books, []
        for name, order in left(self._folder, self._files) if self._folder else ():
            if not (books.store.durable and books.ledger.eras):
                break
            if order is None:
                books.store.set_aside(name)
                continue
            if name not in books.ledger.orders:
                self._again(order, name)
            if books.store.durable and books.store.remove(name):
                taken.append(order)
        return taken

    def leftovers(self, wanted: Callable[[float], bool] = lambda _: True) -> Iterator[OpenCycle]:
        """The cycles that left batches over, oldest first; each whose T is wanted is read from disk when its turn comes."""
        held = self._books.ledger.held
        for time, cycle in sorted((one.time, cycle) for cycle, one in held.items() if one.kept):
            if cycle in held and wanted(time / 1000) and (opened := reopened(self._books, cycle)):
                yield opened

    def _again(self, order: Order, name: str = "") -> None:
        edge = self._books.ledger.eras.grid_before
        self._books.record("again", edge(_ms(order.start)), edge(_ms(order.end)), order.repeat, name, sync=True)

    def _fell_due(self, moment: int) -> None:
        ledger = self._books.ledger
        ledger.newest = max(ledger.newest, ledger.eras.grid_before(moment))


def _ms(time: float) -> int:
    return round(time * 1000)
