"""Takes the folder of a backlog, gives the ledger that its journals lead to, and what of them was damaged; only reads.

What cannot be known is not asked for again: it may have been delivered, and a second row would make a sum too large.
Such stretches are told, with the command that would fill them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.backlog.files import Files
from bridge.backlog.journal import Line, lines, restore
from bridge.backlog.ledger import Ledger
from bridge.backlog.spans import Span, Spans
from bridge.backlog.store import BATCH, JOURNAL, MEMORY, ORDER
from bridge.times import utc


@dataclass
class Found:
    """What a folder holds. ``read_from`` and ``damaged`` are names of files, ``problems`` sentences for a person.

    ``from_memory`` is the stretch that was worked on while the disk could not be written, ``ordered`` whether an order
    waits that the ledger does not know.
    """

    ledger: Ledger = field(default_factory=Ledger)
    read_from: str = ""
    damaged: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    from_memory: Span | None = None
    ordered: bool = False

    def lose(self, start: int, end: int) -> None:
        """Of (start, end] it is not known what was delivered."""
        if start >= end:
            return
        self.ledger.apply(["unknown", start, end])
        since, until = utc(start / 1000), utc(end / 1000)
        self.problems.append(
            f"what was delivered from {since} to {until} is not known, and not posted again:"
            f" triton-bridge backfill --start {since} --end {until} would do that"
        )

    def lose_the_rest(self, now: int) -> None:
        """Of what came after the newest event nothing is known: no process before this one could note anything."""
        ledger = self.ledger
        begun = [(held.start, held.time) for held in ledger.held.values() if not held.kept]
        for span in Spans(0, [*begun, (ledger.newest, ledger.eras.grid_before(now))]):
            self.lose(*span)


def look(folder: Path, files: Files, now: int) -> Found:
    """Read a folder at the time ``now`` (epoch ms). One that is not there, or cannot be read, holds nothing.

    The one that has the lock may renew its journal meanwhile: what seems damaged may just have been taken away.
    """
    while True:
        names = _names(folder, files)
        found = _look(folder, files, now, names)
        if not found.damaged or names == _names(folder, files):
            return found


def _look(folder: Path, files: Files, now: int, names: Sequence[str]) -> Found:
    found = Found()
    numbers = sorted((int(match[1]) for match in map(JOURNAL.fullmatch, names) if match), reverse=True)
    journals: list[tuple[int, list[Line | None]]] = []
    for number in numbers:
        content = _lines(folder / f"journal-{number}", files)
        ledger = restore(content[0]) if content else None
        journals.insert(0, (number, content[1:]))
        if ledger:
            found.ledger, found.read_from = ledger, f"journal-{number}"
            break
        found.damaged.append(f"journal-{number}")
    if found.read_from:
        lost_after = _replay(found, journals)
        found.problems += [f"{folder / name} is damaged" for name in found.damaged]
        if lost_after is not None:
            found.lose(lost_after, found.ledger.eras.grid_before(now))
    elif numbers:
        since = max(_written(folder / name, files) for name in found.damaged)
        batches = [name for name in names if BATCH.fullmatch(name)]
        found.ledger.number = numbers[0]
        found.problems.append(
            f"no journal in {folder} can be read: the account begins anew, and {len(batches)} batches that waited"
            " are set aside"
        )
        found.damaged += batches
        found.lose(since, now)
    _take_from_memory(found, _lines(folder / MEMORY, files))
    # The names are older than the journal that was read: an order that is not among them is known to that.
    found.ordered = any(ORDER.fullmatch(name) and name not in found.ledger.orders for name in names)
    return found


def _replay(found: Found, journals: Sequence[tuple[int, Sequence[Line | None]]]) -> int | None:
    """Apply all events, oldest first; the newest grid time before the first that is missing, None where none is."""
    ledger, lost_after = found.ledger, None
    for number, events in journals:
        if number > ledger.number + 1 and lost_after is None:
            lost_after = ledger.newest
        ledger.number = max(ledger.number, number)
        for event in filter(None, events):
            if event.number != ledger.number + 1 and lost_after is None:
                lost_after = ledger.newest
            ledger.number = event.number - 1
            ledger.apply(event.document)
        if None in events and f"journal-{number}" not in found.damaged:
            found.damaged.append(f"journal-{number}")
    return lost_after


def _take_from_memory(found: Found, content: Sequence[Line | None]) -> None:
    """Take in what was delivered while the disk could not be written, where nothing was written afterwards."""
    if content and content[0] and content[0].number > found.ledger.number:
        start, end = found.from_memory = content[0].document
        found.lose(start, end)
        found.ledger.number = content[0].number


def _names(folder: Path, files: Files) -> list[str]:
    try:
        return sorted(files.names(folder))
    except OSError:
        return []


def _lines(path: Path, files: Files) -> list[Line | None]:
    try:
        return list(lines(files.read(path)))
    except OSError:
        return []


def _written(path: Path, files: Files) -> int:
    """When a file was last written (epoch ms)."""
    try:
        return round(files.written(path) * 1000)
    except OSError:
        return 0
