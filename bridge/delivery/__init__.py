"""Takes a batch, gives a Receipt: Application Insights' verdict on each point, and how soon it may be asked again.

__init__   the pauses between attempts, and the memory of what failed
attempt    one attempt: post, follow redirects, split what is refused
verdicts   a reply → what became of each point (pure)
replies    a reply → what it says (pure)
redirects  a redirect → where to post instead, if it may be followed (pure)
endpoint   bytes → a reply; the only module that imports Azure's packages
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from bridge.delivery.attempt import Attempt
from bridge.delivery.endpoint import Endpoint
from bridge.delivery.exporter import Entra, context_tags
from bridge.points import Batch, Condition, Receipt
from bridge.times import utc

__all__ = ["Delivery", "Entra", "context_tags"]

FIRST_PAUSE, LONGEST_PAUSE = 60.0, 900.0
"""Seconds: pauses double from the one to the other, until a success."""

_REMEMBERED = 1_000  # batches that failed
_SUSPECT = 3  # failures while others passed


class Delivery:
    """Posts batches to one Application Insights resource. One thread posts; any may read ``not_before``, ``condition``.

    ``not_before`` (epoch s, by ``clock``) is the time until which nothing is posted: told by the service (429), or a
    growing pause after replies that no repetition mends soon. The first post after it is the probe for all others.
    ``condition`` is what the last reply said of the endpoint. ``post_deadline`` (s) bounds each single post.

    Raises ConfigurationError for a connection string or an identity that cannot be used.
    """

    def __init__(
        self,
        connection_string: str,
        *,
        entra: Entra | None = None,
        post_deadline: float = 30.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.not_before = 0.0
        self.condition = Condition.DELIVERING
        self._detail = ""
        self._pauses = 0
        self._longest = 0.0  # seconds that the pause was to last when it began
        self._failures = _Failures()
        self._post_deadline = post_deadline
        self._clock = clock
        self._monotonic = monotonic
        self._endpoint = Endpoint(connection_string, entra, monotonic)

    def paused(self) -> Receipt | None:
        """Why nothing is posted before ``not_before``; None where that has passed. It holds no points."""
        now = self._clock()
        # A clock that was set back must not make days of a minute.
        self.not_before = min(self.not_before, now + self._longest)
        if now >= self.not_before:
            return None
        return Receipt(condition=self.condition, detail=self._detail, not_before=self.not_before)

    def post(self, batch: Batch, *, timeout: float | None = None) -> Receipt:
        """One attempt, with its redirects and splits, within ``timeout`` seconds; the receipt holds every point.

        Never raises for what the network or the service does. Before ``not_before`` it posts nothing: all points wait.
        """
        if paused := self.paused():
            return replace(paused, waiting=(batch,))
        until = math.inf if timeout is None else self._monotonic() + timeout
        if not batch.points:
            return Receipt(condition=self.condition)
        if until <= self._monotonic():
            return Receipt(
                waiting=(batch,), condition=self.condition, detail=self._detail or "no time was left to post"
            )
        attempt = Attempt(
            batch,
            self._endpoint,
            others_pass=self.condition is Condition.DELIVERING and self._failures.others_passed(batch),
            suspect=self._failures.times(batch) >= _SUSPECT,
            post_deadline=self._post_deadline,
            until=until,
            clock=self._clock,
            monotonic=self._monotonic,
        )
        receipt = self._pause(attempt.run())
        self._failures.learn(attempt.failed, passed=receipt.accepted > 0)
        self.condition, self._detail = receipt.condition, receipt.detail
        return receipt

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def _pause(self, receipt: Receipt) -> Receipt:
        """Set ``not_before`` as the service told, or as our patience has it. While unreachable, the caller backs off."""
        if receipt.accepted:
            self._pauses = 0
        not_before = receipt.not_before
        if not_before is None and receipt.condition not in (Condition.DELIVERING, Condition.UNREACHABLE):
            not_before = self._clock() + min(FIRST_PAUSE * 2**self._pauses, LONGEST_PAUSE)
            self._pauses = min(self._pauses + 1, 10)
        self.not_before = not_before or 0.0
        self._longest = self.not_before - self._clock()
        if not_before is None:
            return receipt
        detail = f"{receipt.detail}; nothing is posted before {utc(not_before)}"
        return replace(receipt, detail=detail, not_before=not_before)


class _Failure(NamedTuple):
    times: int
    passed: int  # how many posts had passed when it last counted


class _Failures:
    """Which batches failed, by their bytes, and whether others passed meanwhile: a fault of theirs, or an outage."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, _Failure] = OrderedDict()
        self._passed = 0

    def times(self, batch: Batch) -> int:
        """How often it failed; failures between which nothing passed count as one."""
        failure = self._known.get(_digest(batch))
        return failure.times if failure else 0

    def others_passed(self, batch: Batch) -> bool:
        """Whether the service has taken points since this batch first failed."""
        failure = self._known.get(_digest(batch))
        return failure is not None and (failure.times > 1 or failure.passed < self._passed)

    def learn(self, failed: list[Batch], *, passed: bool) -> None:
        """What came of a post: the batches that failed, and whether any point passed."""
        for batch in failed:
            digest = _digest(batch)
            known = self._known.pop(digest, None)
            if known is None or known.passed < self._passed:
                known = _Failure(known.times + 1 if known else 1, self._passed)
            self._known[digest] = known
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        self._passed += passed


def _digest(batch: Batch) -> bytes:
    return hashlib.blake2b(batch.body, digest_size=16).digest()
