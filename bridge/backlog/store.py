"""Takes the events of a ledger and the bodies of batches, gives them back after a restart: one small folder.

journal-N              a whole ledger as it was at event N, and the events since; the one before it is kept too
T-cycle-part.json.gz   a batch that waits
memory                 how far delivery went on while the disk could not be written: changed in place
order-…                what another process wants done; the only file that one without the lock writes
lock                   one process writes
….damaged              set aside, for a person to look at

A new journal is written beside, made durable and renamed, so a good one stands at every moment. Where the newest is
damaged, the one before it and its events lead to the same ledger.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bridge.backlog.files import Files
from bridge.backlog.held import batch_file
from bridge.backlog.journal import dump, line
from bridge.backlog.ledger import Ledger
from bridge.backlog.spans import Span
from bridge.errors import ConfigurationError, Finding

log = logging.getLogger(__name__)

MEMORY = "memory"
JOURNAL = re.compile(r"journal-(\d+)")
BATCH = re.compile(r"\d+-\d+-\d+\.json\.gz")
ORDER = re.compile(r"order-[0-9a-f]+")

_OURS = re.compile(rf"journal-\d+(\.new)?|{ORDER.pattern}\.new|{BATCH.pattern}")
_EVENTS_SIZE = 256 * 1024  # of one journal
_MEMORY_SIZE = 128


class Store:
    """Writes to one folder; never raises for what the disk does. Before ``lock``, and without a folder, it writes nothing.

    ``durable`` tells whether everything recorded is on disk, ``begun`` whether a journal of ours may be there; where it is not, ``trouble`` is one sentence that says why,
    all is kept in memory (``unsaved`` holds the bodies), and every later record tries the disk again.
    """

    def __init__(self, folder: Path | None, files: Files) -> None:
        self.durable = False
        self.begun = False
        self.trouble = ""
        self.unsaved: dict[str, bytes] = {}
        self._folder = folder or Path()
        self._files = files
        self._writes = False
        self._unlock: Callable[[], object] = lambda: None
        self._journal: str | None = None
        self._before = ""  # the journal before it
        self._damaged: tuple[str, ...] = ()
        self._size = 0
        self._delivered: Span | None = None  # from memory

    def lock(self) -> None:
        """Become the one that writes. Raises ConfigurationError where another process is."""
        try:
            self._files.make_folder(self._folder)
            self._unlock = self._files.lock(self._folder / "lock")
        except BlockingIOError:
            problem = "another triton-bridge works with this folder"
            remedy = "stop that one, or give this one a BRIDGE_STATE_DIR of its own"
            raise ConfigurationError([Finding(str(self._folder), problem, remedy)]) from None
        except OSError as error:
            log.warning("%s cannot be locked (%s): no other triton-bridge may use it", self._folder, error)
        self._writes = True

    def unlock(self) -> None:
        """Let another process write."""
        self._writes = self.durable = False
        self._unlock()
        self._unlock = lambda: None

    def begin(self, ledger: Ledger, read_from: str, damaged: Sequence[str], from_memory: Span | None) -> None:
        """Prove the folder writable with a first journal, and set aside what is damaged.

        ``from_memory`` is what processes before this one have delivered while the disk could not be written.
        """
        self._before, self._damaged, self._delivered = read_from, tuple(damaged), from_memory
        self._try_to_renew(ledger)

    def record(self, ledger: Ledger, event: Sequence[Any], *, sync: bool, span: Span | None) -> None:
        """Write an event that the ledger has taken in. ``span`` is what a post may have delivered by it.

        Without ``sync`` it is durable with the next one that has it.
        """
        if not self._writes or (self.durable and self._append(line(ledger.number, event), sync=sync)):
            return
        self._try_to_renew(ledger)
        if span and not self.durable:
            self._remember(ledger.number, span)

    def put(self, bodies: Mapping[str, bytes]) -> None:
        """Keep the bodies of batches, by the names of their files."""
        if self.durable and bodies:
            try:
                for name, body in bodies.items():
                    self._files.write(self._folder / name, body)
                self._files.sync_folder(self._folder)
            except OSError as error:
                self._fail(error)
            else:
                return
        self.unsaved.update(bodies)

    def get(self, name: str) -> bytes | None:
        """A body; None where it cannot be read."""
        try:
            return self.unsaved.get(name) or self._files.read(self._folder / name)
        except OSError:
            return None

    def drop(self, names: Sequence[str]) -> None:
        """Take batches away."""
        for name in names:
            self.unsaved.pop(name, None)
            self._unlink(name)

    def remove(self, name: str) -> bool:
        """Take any other file away; whether it is gone."""
        return self._unlink(name)

    def can_note(self) -> bool:
        """Whether a disk that takes nothing new lets a note be made of what is delivered from memory."""
        memory = self._folder / MEMORY
        try:
            self._files.overwrite(memory, self._files.read(memory))
        except OSError:
            return False
        return True

    def set_aside(self, name: str) -> None:
        """Keep a damaged file under a name that tells so."""
        if self._writes:
            aside = f"{name}.damaged"
            log.error("%s is set aside as %s", self._folder / name, aside)
            with suppress(OSError):
                self._files.rename(self._folder / name, self._folder / aside)

    def _append(self, text: bytes, *, sync: bool) -> bool:
        """Whether it is written and leaves room for more."""
        assert self._journal
        try:
            self._files.append(self._folder / self._journal, text, sync=sync)
        except OSError:
            return False
        self._size += len(text)
        return self._size < _EVENTS_SIZE

    def _try_to_renew(self, ledger: Ledger) -> None:
        try:
            self._renew(ledger)
        except OSError as error:
            self._fail(error)
            return
        if self.trouble:
            log.info("%s is written again", self._folder)
        if not self.durable:
            # Only now: until a good journal stands, a damaged one is the best there is.
            for name in self._damaged:
                self.set_aside(name)
            self._damaged = ()
            self._tidy(ledger)
        self.durable, self.trouble, self._delivered = True, "", None

    def _tidy(self, ledger: Ledger) -> None:
        """Take away what nobody needs: a process that was killed may have left it, or a disk that could not be written."""
        needed = {batch_file(held.time, cycle, n) for cycle, held in ledger.held.items() for n in held.parcels}
        with suppress(OSError):
            for name in self._files.names(self._folder):
                if _OURS.fullmatch(name) and name not in {*needed, self._journal, self._before}:
                    self._unlink(name)

    def _renew(self, ledger: Ledger) -> None:
        """Write everything that is known, in a new journal."""
        files, folder = self._files, self._folder
        files.make_folder(folder)
        for name in list(self.unsaved):
            files.write(folder / name, self.unsaved[name])
            del self.unsaved[name]
        ledger.number += 1  # a name is never used twice
        journal = f"journal-{ledger.number}"
        beside = folder / f"{journal}.new"
        try:
            files.write(beside, line(ledger.number, dump(ledger)))
            if MEMORY not in files.names(folder):
                files.write(folder / MEMORY, b" " * _MEMORY_SIZE)
            self.begun = True  # from here on it may be there, even if what follows fails
            files.rename(beside, folder / journal)
        except OSError:
            self._unlink(beside.name)
            raise
        files.sync_folder(folder)
        if self._journal:
            self._unlink(self._before)
            self._before = self._journal
        self._journal, self._size = journal, 0

    def _remember(self, number: int, span: Span) -> None:
        """Note on a disk that takes nothing new which stretch was delivered from memory, up to which event."""
        start, end = self._delivered or span
        self._delivered = min(start, span[0]), max(end, span[1])
        with suppress(OSError):
            self._files.overwrite(self._folder / MEMORY, line(number, self._delivered).ljust(_MEMORY_SIZE))

    def _fail(self, error: OSError) -> None:
        self.durable = False
        trouble = (
            f"{self._folder} cannot be written ({error.strerror or error}): delivery goes on, and is not known of"
            " after a restart — free space there, or make BRIDGE_STATE_DIR writable"
        )
        if trouble != self.trouble:
            log.error(trouble)
        self.trouble = trouble

    def _unlink(self, name: str) -> bool:
        if not self._writes or not name:
            return False
        try:
            self._files.unlink(self._folder / name)
        except OSError:
            return False
        return True
