"""Takes how much each instrumentation key sends and when, gives the service's limits their memory: throttle and cap."""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass, field

from bridge.sandbox.refusals import Refused

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Limits:
    """What the service takes at most (application-insights-limits.md, where no other source is named).

    ``body`` bounds a POST in bytes, both on the wire and unpacked. The service's own figure is not documented; this
    one is the default of the HTTP.sys server that its replies name. ``daily`` is the cap in bytes of accepted items,
    per key and UTC day; the service bills a little less than these bytes. None: no cap.
    """

    items: int = 64_000
    item_bytes: int = 65_536
    body: int = 30_000_000
    items_per_second: float = 32_000
    window: float = 60  # seconds, over which items_per_second is averaged
    daily: int | None = None


@dataclass
class _Usage:
    recent: deque[tuple[float, int]] = field(default_factory=deque)  # (epoch s, items), of the window
    day: int = 0
    bytes_today: int = 0


class Meter:
    """What each key sent lately. Not safe for use by several threads at once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._usage: defaultdict[str, _Usage] = defaultdict(_Usage)

    def admit(self, key: str, items: int, now: float) -> Refused | None:
        """Count a POST's items of a key at ``now`` (epoch s); or why they are not let in: 402, or 429 with a wait.

        What is not let in is not counted, so a sender that waits as told gets through.
        """
        usage = self._usage[key]
        if self._limits.daily is not None and self._bytes_today(usage, now) >= self._limits.daily:
            return Refused(402)
        recent, window = usage.recent, self._limits.window
        while recent and recent[0][0] <= now - window:
            recent.popleft()
        excess = sum(count for _, count in recent) + items - self._limits.items_per_second * window
        if excess <= 0:
            recent.append((now, items))
            return None
        for at, count in recent:
            excess -= count
            if excess <= 0:
                return Refused(429, retry_after=max(1, math.ceil(at + window - now)))
        return Refused(429, retry_after=math.ceil(window))

    def spend(self, key: str, size: int, now: float) -> None:
        """Count ``size`` bytes that were accepted for a key towards its cap of the day."""
        usage = self._usage[key]
        usage.bytes_today = self._bytes_today(usage, now) + size

    def _bytes_today(self, usage: _Usage, now: float) -> int:
        day = int(now // SECONDS_PER_DAY)
        if day != usage.day:
            usage.day, usage.bytes_today = day, 0
        return usage.bytes_today
