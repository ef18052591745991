"""Takes batches and a deadline, gives what became of their points: post, and post again what must be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bridge.cycle.patience import Patience
from bridge.points import Batch, Receipt

DRAIN = 4.0  # seconds for what is still to be posted of a cycle when the bridge is told to stop


class Sink(Protocol):
    """What a cycle needs of the endpoint; ``bridge.delivery.Delivery`` is the real one."""

    def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt: ...


@dataclass(frozen=True)
class Delivered:
    """The receipts of all posts, and the batches that wait still; ``problem`` says why, in the endpoint's words."""

    receipts: tuple[Receipt, ...]
    waiting: tuple[Batch, ...]
    problem: str


class Posting:
    """The second half of a cycle. Never raises for what the network or the service does."""

    def __init__(self, sink: Sink, patience: Patience) -> None:
        self._sink = sink
        self._patience = patience
        self._drain_until: float | None = None

    def deliver(self, batches: Iterable[Batch], deadline: float) -> Delivered:
        """Post all batches, and what must be posted again until the deadline (a reading of ``monotonic``)."""
        waiting = list(batches)
        receipts: list[Receipt] = []

        def post() -> Receipt | None:
            nonlocal waiting
            done, waiting = self._post_each(waiting, deadline)
            receipts.extend(done)
            return done[-1] if waiting else None

        last = self._patience.post(post, deadline)
        return Delivered(tuple(receipts), tuple(waiting), last.detail if last else "")

    def _post_each(self, batches: list[Batch], deadline: float) -> tuple[list[Receipt], list[Batch]]:
        """Post each batch once: the receipts, one that kept something last, and what must be posted again.

        Two batches in a row that get through nothing are enough to know that the others would not either; one alone
        may be at fault itself, and holds up no other.
        """
        receipts: list[Receipt] = []
        waiting: list[Batch] = []
        failed = 0
        for number, batch in enumerate(batches):
            receipt = self._sink.post(batch, timeout=self._left(deadline))
            receipts.append(receipt)
            waiting += receipt.waiting
            failed = failed + 1 if receipt.waiting and not receipt.accepted else 0
            if failed == 2:
                waiting += batches[number + 1 :]
                break
        receipts.sort(key=lambda receipt: bool(receipt.waiting))  # stable: the newest news stays last
        return receipts, waiting

    def _left(self, deadline: float) -> float:
        """Seconds for the next post."""
        now = self._patience.monotonic()
        if self._patience.stop.is_set():
            self._drain_until = self._drain_until or now + DRAIN
            deadline = min(deadline, self._drain_until)
        return deadline - now
