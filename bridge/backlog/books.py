"""Takes what happens to cycles, gives a ledger that has taken it in and a folder that holds it: the two kept as one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bridge.account import Account
from bridge.backlog.files import Files
from bridge.backlog.ledger import Ledger
from bridge.backlog.recovery import Found, look
from bridge.backlog.spans import Span
from bridge.backlog.statement import account
from bridge.backlog.store import Store

log = logging.getLogger(__name__)

_UNSAVED_SIZE = 64 * 2**20  # bytes of batches that wait in memory, while the disk cannot be written


class Books:
    """The ledger and its folder. One thread writes; any may read the account."""

    def __init__(self, folder: Path | None, files: Files, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._files = files
        self._clock = clock
        self._mutex = threading.Lock()
        self.store = Store(folder, files)
        self.ledger = Ledger()
        self.problems: tuple[str, ...] = ()
        self.ordered = False
        self._read_from = ""
        if folder:
            self._look(folder)

    def lock(self) -> None:
        """Become the one that writes, and end what a process that was killed has begun."""
        if self._folder is None:
            return
        self.store.lock()
        found = self._look(self._folder)
        self.store.begin(self.ledger, found.read_from, found.damaged, found.from_memory)
        if found.read_from and not self.store.durable and not self.store.can_note():
            found.lose_the_rest(self._now())
            self.problems = tuple(found.problems)
        for problem in self.problems:
            log.error(problem)
        self.record("recover")

    @property
    def repairable(self) -> bool:
        """Whether a restart would know of a repair, or know nothing at all."""
        return self.store.durable or not (self._read_from or self.store.begun)

    def account(self) -> Account:
        """The account as it stands."""
        with self._mutex:
            return account(self.ledger)

    def record(self, kind: str, *values: Any, sync: bool = False, span: Span | None = None) -> None:
        """Take in an event, and write it. ``span`` is what a post may have delivered by it."""
        event = (kind, *values)
        with self._mutex:
            unneeded = self.ledger.apply(event)
        self.store.record(self.ledger, event, sync=sync, span=span)
        self.store.drop(unneeded)

    def reject(self, cycle: int, number: int, reason: str) -> None:
        """Give up a batch that cannot be posted any more."""
        points = self.ledger.held[cycle].parcels[number].points
        log.error("%d points are lost: %s", points, reason)
        self.record("verdict", cycle, number, [0, points, 0], [], [0, 0], [["(a batch)", {}, "", 0, reason]])

    def bound(self) -> None:
        """Give up the oldest batches where too many wait in memory."""
        while sum(map(len, self.store.unsaved.values())) > _UNSAVED_SIZE:
            _, cycle = min((held.time, cycle) for cycle, held in self.ledger.held.items())
            for number in list(self.ledger.held[cycle].parcels):
                self.reject(cycle, number, self.store.trouble or "too much waits in memory")
            self.record("end", cycle)

    def _look(self, folder: Path) -> Found:
        found = look(folder, self._files, self._now())
        self.ledger, self.problems = found.ledger, tuple(found.problems)
        self.ordered, self._read_from = found.ordered, found.read_from
        return found

    def _now(self) -> int:
        return round(self._clock() * 1000)
