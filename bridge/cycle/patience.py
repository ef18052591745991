"""Takes an attempt and a deadline, gives its result, after as many tries as fit: the retry policy as cycles use it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from bridge.errors import PrometheusError, PrometheusRefused, PrometheusUnreachable
from bridge.points import Receipt
from bridge.retry import RetryDetails, policy

log = logging.getLogger(__name__)

T = TypeVar("T")


class Patience:
    """Time as a cycle knows it: ``clock`` in epoch s, ``monotonic`` and ``sleep`` in s, and ``stop``, which ends waiting.

    What is under way when ``stop`` is set may try once more.
    """

    def __init__(
        self,
        stop: threading.Event,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.stop = stop
        self.clock = clock
        self.monotonic = monotonic
        self.sleep = sleep or stop.wait
        self._given_sleep = sleep

    def unstopped(self) -> Patience:
        """The same time, for the work that begins with the stop."""
        return Patience(threading.Event(), clock=self.clock, monotonic=self.monotonic, sleep=self._given_sleep)

    def ask(self, question: Callable[[], T], deadline: float, *, refused: T | None = None) -> T:
        """Ask Prometheus until there is an answer; ``refused`` is it where this Prometheus does not know the question.

        Raises the last PrometheusError at the deadline (a reading of ``monotonic``); after that nothing is asked.
        """
        if self.monotonic() >= deadline:
            raise PrometheusUnreachable("no time was left to ask Prometheus: its answers were slow")
        try:
            return self._retry(question, deadline, on=_worth_asking_again)
        except PrometheusRefused:
            if refused is None:
                raise
            return refused

    def post(self, attempt: Callable[[], Receipt | None], deadline: float) -> Receipt | None:
        """Post until the attempt gives None: nothing waits any more. Else its last receipt, at the deadline."""
        return self._retry(
            attempt,
            deadline,
            on=lambda cause: isinstance(cause, Receipt),
            wait_until=lambda receipt: self._monotonic_time(receipt.not_before),
        )

    def _retry(
        self,
        attempt: Callable[[], T],
        deadline: float,
        *,
        on: Callable[[Any], bool],
        wait_until: Callable[[Any], float | None] = lambda _: None,
    ) -> T:
        retrying = policy(
            on=on,
            deadline=deadline,
            wait_until=wait_until,
            hook=_announce,
            stopping=self.stop.is_set,
            clock=self.monotonic,
            sleep=self.sleep,
        )
        return retrying(attempt)

    def _monotonic_time(self, epoch: float | None) -> float | None:
        return None if epoch is None else self.monotonic() + epoch - self.clock()


def _worth_asking_again(cause: object) -> bool:
    """Whether Prometheus may answer the same question another time; a wrong question stays wrong."""
    if isinstance(cause, PrometheusRefused):
        return cause.status == 429 or cause.status >= 500
    return isinstance(cause, PrometheusError)


def _announce(retry: RetryDetails) -> None:
    cause = retry.cause.detail if isinstance(retry.cause, Receipt) else retry.cause
    log.warning("trying again in %.1f s (attempt %d failed): %s", retry.next_wait, retry.attempt, cause)
