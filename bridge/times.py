"""Takes a moment (epoch s), gives the grid time before it, how long its scrapes take to land, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timezone


def grid_time(moment: float, interval: float) -> float:
    """The newest grid time at or before a moment: grid times are the multiples of the interval (s) since the epoch."""
    return math.floor(moment / interval) * interval


def settle_delay(at_least: float, timeouts: Iterable[float]) -> float:
    """How long after T (s) every scrape begun by T has landed, by the targets' ``scrapeTimeout`` (s).

    A second more than the longest: Prometheus gives the sample the time at which the scrape began, and writes it later.
    """
    return max(at_least, max(timeouts, default=0.0) + 1)


def utc(moment: float) -> str:
    """A time as logs, the status page and commands show it, down to the whole second: ``2026-11-21T10:00:00Z``."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
