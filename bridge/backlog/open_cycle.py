"""Takes the batches of one cycle and the verdict on each, gives what the cycle came to; on disk before and after a post."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from bridge.backlog.books import Books
from bridge.backlog.held import batch_file
from bridge.points import Batch, Receipt, Settlement

_REJECTIONS_A_POST = 50  # a bad batch leaves room for others among those that are kept


class OpenCycle:
    """A cycle with batches to post: ``intent`` before each post, ``verdict`` after it, ``end`` after the last.

    ``start`` and ``time`` (epoch s) are its interval. A process that is killed in between posts one batch again at
    most: the one whose intent has no verdict.
    """

    def __init__(self, books: Books, cycle: int, batches: dict[int, Batch]) -> None:
        held = books.ledger.held[cycle]
        self.start, self.time = held.start / 1000, held.time / 1000
        self._span = held.start, held.time
        self._books = books
        self._cycle = cycle
        self._batches = batches
        self._next = max(batches, default=-1) + 1

    @property
    def waiting(self) -> tuple[int, ...]:
        """The numbers of the batches that wait, in the order in which to post them."""
        return tuple(self._batches)

    def batch(self, number: int) -> Batch:
        """A batch that waits."""
        return self._batches[number]

    def intent(self, number: int) -> None:
        """The batch is posted next. On disk when this returns, if the disk lets."""
        self._books.record("intent", self._cycle, number, sync=True, span=self._span)

    def verdict(self, number: int, receipt: Receipt) -> None:
        """What became of it. What waits of it waits under new numbers, unless that is all of it."""
        batch = self._batches.pop(number)
        if receipt.waiting == (batch,):
            rest = {number: batch}
        else:
            rest = dict(enumerate(receipt.waiting, self._next))
            self._next += len(rest)
            self._books.store.put(bodies(self._span[1], self._cycle, rest))
        self._batches |= rest
        self._books.record(
            "verdict",
            self._cycle,
            number,
            [receipt.accepted, receipt.rejected, receipt.expired],
            [(n, *parcel(waiting)) for n, waiting in rest.items()],
            [receipt.unconfirmed, receipt.possibly_repeated],
            [
                [one.metric, dict(one.dimensions), one.time, one.status, one.reason]
                for one in receipt.rejections[:_REJECTIONS_A_POST]
            ],
            sync=True,
            span=self._span,
        )

    def end(self) -> Settlement:
        """Nothing more is posted now. Settled, or waiting: with its batches kept, or as a gap if nothing was decided."""
        self._books.record("end", self._cycle)
        self._books.bound()
        ledger = self._books.ledger
        settled = self._cycle not in ledger.held and self._span[1] in ledger.spans
        return Settlement.SETTLED if settled else Settlement.WAITING


def begun(books: Books, start: int, time: int, batches: Iterable[Batch], not_finite: int, left_out: int) -> OpenCycle:
    """Write the batches of a cycle that was read (times in ms)."""
    numbered = dict(enumerate(batches))
    cycle = books.ledger.number + 1
    books.store.put(bodies(time, cycle, numbered))
    parcels = [parcel(batch) for batch in numbered.values()]
    books.record("begin", start, time, parcels, not_finite, left_out)
    return OpenCycle(books, cycle, numbered)


def reopened(books: Books, cycle: int) -> OpenCycle | None:
    """A cycle that left batches over; None where nothing waits of it any more. A damaged file is set aside."""
    held = books.ledger.held[cycle]
    batches = {}
    for number, kept in list(held.parcels.items()):
        file = batch_file(held.time, cycle, number)
        body = books.store.get(file)
        if body is not None and zlib.crc32(body) == kept.check:
            batches[number] = Batch(body, kept.points, kept.size)
        else:
            books.store.set_aside(file)
            books.reject(cycle, number, f"the file {file} is damaged or gone")
    opened = OpenCycle(books, cycle, batches)
    if batches:
        return opened
    opened.end()
    return None


def bodies(time: int, cycle: int, batches: dict[int, Batch]) -> dict[str, bytes]:
    """The batches by the names of their files."""
    return {batch_file(time, cycle, number): batch.body for number, batch in batches.items()}


def parcel(batch: Batch) -> tuple[int, int, int]:
    """What a ledger keeps of a batch."""
    return batch.points, batch.size, zlib.crc32(batch.body)
