"""Takes a signal, gives an orderly end: the cycle under way finished, Triton's last counts seen, the account closed.

SIGTERM, SIGINT   end; a second one ends at once
SIGUSR1           Triton was told to stop, and SIGTERM follows when it has ended: the bundle's order of stopping
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from bridge.turns import Turns
from bridge.watch import Closing

log = logging.getLogger(__name__)

DRAIN_SECONDS = 9.5  # docker stop kills after 10
_DRAINING_SECONDS = 6.0  # of Triton: what is seen by then is posted, and the rest when it has ended
_LINGER_SECONDS = 3.0  # for a Triton that was told to stop at the same moment, as in a pod
_LOOK_SECONDS = 1.5  # for one look at Triton's port
_ENDS = (signal.SIGTERM, signal.SIGINT)
_TRITON_STOPS = signal.SIGUSR1
SIGNALS = (*_ENDS, _TRITON_STOPS)
_SAME_SIGNAL = 0.3  # seconds; some senders reach a process and its group

T = TypeVar("T")


class Ending:
    """The end of one run. ``SIGNALS`` must be blocked in all threads; ``closing`` is None where no account is closed."""

    def __init__(self, turns: Turns, stop: threading.Event, closing: Closing | None) -> None:
        self._turns = turns
        self._stop = stop
        self._closing = closing
        self._begun = self._told = 0.0

    def run(self, silence: Callable[[], object]) -> None:
        """Wait for a signal, ``silence`` the alarm, and end. Ends the process itself where that takes too long."""
        signum = signal.Signals(signal.sigwait(SIGNALS))
        self._begun = self._told = time.monotonic()
        if self._closing:
            beside(self._closing.run)
        drains = False
        if signum is _TRITON_STOPS:
            log.info("Triton is told to stop: its last counts are watched for")
            drains = signal.sigtimedwait(_ENDS, _DRAINING_SECONDS) is None
            self._told = time.monotonic()
        else:
            log.info("%s: finishing the cycle under way; a second one ends at once", signum.name)
        self._stop.set()
        silence()
        if not self._wait(self._turns.idle, DRAIN_SECONDS):
            log.error("the cycle under way did not end within %.0f s: the next start goes on with it", DRAIN_SECONDS)
            _exit(1)  # its threads would keep the process
        if self._closing is None:
            return
        if signum is signal.SIGTERM:
            self._wait(self._closing.gone, _LINGER_SECONDS)
        self._wait(self._closing.looked, _LOOK_SECONDS)
        self._close(self._closing)
        if drains:
            log.info("Triton is draining still: what it counts from now on is posted when it has ended")
            signal.sigwait(_ENDS)
            self._begun = self._told = time.monotonic()
            self._close(self._closing)

    def _close(self, closing: Closing) -> None:
        left = max(self._begun + DRAIN_SECONDS - time.monotonic(), 1.0)
        done = beside(lambda: self._turns.close(closing.newest, left - 0.5))
        if not self._wait(done, DRAIN_SECONDS):
            log.error("the account could not be closed within %.0f s", DRAIN_SECONDS)
            _exit(1)

    def _wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for the event until so many seconds after the first signal; whether it came."""
        while not event.is_set():
            if signal.sigtimedwait(_ENDS, 0.05) and time.monotonic() - self._told > _SAME_SIGNAL:
                log.error("second signal: ended at once; what was under way is not finished")
                _exit(130)
            if time.monotonic() > self._begun + seconds:
                return False
        return True


def interruptible(work: Callable[[], T], stop: threading.Event, at_once: Callable[[], object]) -> T:
    """Do it, and give its result. A first signal sets ``stop``; a second one ends the process, with ``at_once`` last."""
    told = 0.0

    def end(signum: int, _: object) -> None:
        nonlocal told
        if not stop.is_set():
            told = time.monotonic()
            stop.set()
            log.info("%s: ending in order; a second one ends at once", signal.Signals(signum).name)
        elif time.monotonic() - told > _SAME_SIGNAL:
            log.error("second signal: ended at once; what was under way is not finished")
            at_once()
            _exit(130)

    before = [(signum, signal.signal(signum, end)) for signum in _ENDS]
    try:
        # In a thread of its own: a handler may run at any instruction of this one, and must not wait for a lock of it.
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(work)
            while not future.done():
                wait([future], timeout=0.05)
            return future.result()
    finally:
        for signum, handler in before:
            signal.signal(signum, handler)


def beside(work: Callable[[], object]) -> threading.Event:
    """Do it in a thread of its own; the event is set at its end."""
    done = threading.Event()

    def run() -> None:
        try:
            work()
        finally:
            done.set()

    threading.Thread(target=run, daemon=True).start()
    return done


def _exit(code: int) -> None:
    logging.shutdown()
    os._exit(code)
