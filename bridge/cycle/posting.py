"""Takes the batches of a cycle and a deadline, gives what became of their points: post, and post again what must be.

Before each post its intent is recorded, after it the verdict: a process that is killed repeats one batch at most.
"""

from __future__ import annotations

from typing import Protocol

from bridge.backlog import OpenCycle
from bridge.cycle.patience import Patience
from bridge.points import Batch, Receipt

DRAIN = 4.0  # seconds for what is still to be posted of a cycle when the bridge is told to stop
_LEAST = 2.0  # seconds for a post that is begun: one that we cut ourselves may have arrived, and is posted again


class Sink(Protocol):
    """What a cycle needs of the endpoint; ``bridge.delivery.Delivery`` is the real one."""

    def paused(self) -> Receipt | None: ...
    def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt: ...


class Posting:
    """The second half of a cycle. Never raises for what the network or the service does."""

    def __init__(self, sink: Sink, patience: Patience) -> None:
        self._sink = sink
        self._patience = patience
        self._drain_until: float | None = None

    def deliver(self, cycle: OpenCycle, deadline: float, *, patient: bool = True) -> list[Receipt]:
        """Post what waits of a cycle; the receipts, the one that speaks for what waits still last.

        ``deadline`` is a reading of ``monotonic``; until then, and only if ``patient``, it is tried again.
        """
        receipts: list[Receipt] = []

        def post() -> Receipt | None:
            receipts.extend(self._post_each(cycle, deadline))
            return receipts[-1] if cycle.waiting else None

        if patient:
            self._patience.post(post, deadline)
        else:
            post()
        return receipts

    def _post_each(self, cycle: OpenCycle, deadline: float) -> list[Receipt]:
        """Post each batch once; the receipts, one that kept something last.

        Two batches in a row that get through nothing are enough to know that the others would not either; one alone
        may be at fault itself, and holds up no other.
        """
        receipts: list[Receipt] = []
        failed = 0
        for number in cycle.waiting:
            if paused := self._sink.paused():
                return [*receipts, paused]
            cycle.intent(number)
            receipt = self._sink.post(cycle.batch(number), timeout=self._left(deadline))
            cycle.verdict(number, receipt)
            receipts.append(receipt)
            failed = failed + 1 if receipt.waiting and not receipt.accepted else 0
            if failed == 2:
                break
        return sorted(receipts, key=lambda receipt: bool(receipt.waiting))  # stable: the newest news stays last

    def _left(self, deadline: float) -> float:
        """Seconds for the next post."""
        now = self._patience.monotonic()
        if self._patience.stop.is_set():
            self._drain_until = self._drain_until or now + DRAIN
            return min(deadline, self._drain_until) - now
        return max(deadline - now, _LEAST) if now < deadline else 0.0
