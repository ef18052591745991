"""Takes a deadline and what is worth another try, gives the one retry policy: exponential back-off with full jitter.

It carries no state and reads no clock of its own, so a test that hands in ``clock`` and ``sleep`` never waits.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tenacity

CAP = 20.0  # s, the longest wait; the longest first one is a second


def backoff(attempt: int, chance: float) -> float:
    """Seconds to wait after the failed attempt number ``attempt`` (from 1): chance · min(20, 2 ** (attempt - 1)).

    ``chance`` in [0, 1] spreads bridges that failed together over the whole stretch ("full jitter", AWS Architecture
    Blog, "Exponential Backoff and Jitter", 2015).
    """
    # No float holds 2 ** 1024; the cap is reached long before the exponent's own.
    return chance * min(CAP, 2.0 ** min(attempt - 1, 64))


@dataclass(frozen=True)
class RetryDetails:
    """A retry that is about to be waited for: ``attempt`` failed for ``cause``, the exception or the value.

    ``waited`` seconds were slept before it, ``next_wait`` seconds are to come.
    """

    attempt: int
    waited: float
    next_wait: float
    cause: Any


def policy(
    *,
    on: Callable[[Any], bool],
    deadline: float,
    wait_until: Callable[[Any], float | None] = lambda _: None,
    hook: Callable[[RetryDetails], None] = lambda _: None,
    stopping: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], Any] = time.sleep,
    chance: Callable[[], float] = random.random,
) -> tenacity.Retrying:
    """Give a caller of functions: ``policy(on=…, deadline=…)(function, *arguments)``.

    ``on`` says of a raised exception or a returned value whether it is worth another try; what interrupts a program
    (``KeyboardInterrupt`` and its like) never is. ``wait_until`` may name the very time of that try, for Retry-After.
    A wait that would reach the deadline is not begun: the last exception is raised, or the last value returned. The
    same happens once ``stopping`` says so; a ``sleep`` that is woken early still gets one last try.

    ``deadline`` and ``wait_until`` are readings of ``clock``, in seconds; ``chance`` gives numbers in [0, 1).
    """

    def worthwhile(state: tenacity.RetryCallState) -> bool:
        cause = _cause(state)
        interrupted = isinstance(cause, BaseException) and not isinstance(cause, Exception)
        return not interrupted and on(cause)

    def wait(state: tenacity.RetryCallState) -> float:
        told = wait_until(_cause(state))
        ahead = 0.0 if told is None else told - clock()
        # A time that has passed already says nothing; without a wait, every try would follow at once.
        return ahead if ahead > 0 else backoff(state.attempt_number, chance())

    def stop(state: tenacity.RetryCallState) -> bool:
        return stopping() or clock() + state.upcoming_sleep >= deadline

    def announce(state: tenacity.RetryCallState) -> None:
        next_wait = state.upcoming_sleep
        # tenacity has already added the wait to come.
        hook(RetryDetails(state.attempt_number, state.idle_for - next_wait, next_wait, _cause(state)))

    return tenacity.Retrying(
        retry=worthwhile,
        wait=wait,
        stop=stop,
        before_sleep=announce,
        sleep=sleep,
        retry_error_callback=lambda state: _outcome(state).result(),  # raises the exception, or returns the value
    )


def _outcome(state: tenacity.RetryCallState) -> tenacity.Future:
    assert state.outcome is not None
    return state.outcome


def _cause(state: tenacity.RetryCallState) -> Any:
    return _outcome(state).exception() or _outcome(state).result()
