"""A clock that stands still until somebody sleeps."""

from __future__ import annotations


class Clock:
    """Time in seconds since the epoch; ``clock()`` reads it, ``clock.sleep(s)`` moves it on."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass without waiting."""
        self.slept.append(seconds)
        self.now += max(0.0, seconds)
