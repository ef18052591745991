"""Takes when it ends, gives two days of a Triton's counters: a real Prometheus that holds them, and what they gained.

Everything is drawn from fixed seeds: another end gives the same values at other times.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import NamedTuple

from bench.replies import SCRAPE_INTERVAL
from examples import stack

HOURS = 48
NAMES = (
    "nv_inference_request_success",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_request_duration_us",
    "nv_inference_queue_duration_us",
)
SERIES = tuple(product(NAMES, (f"model_{number}" for number in range(10)), ("1", "2")))

_SCRAPES_A_MINUTE = 60 // SCRAPE_INTERVAL
_SCRAPES = HOURS * 60 * _SCRAPES_A_MINUTE
_OFFSET = 7.345  # seconds from a full quarter of a minute to its scrape
_STARTS = range(1_234, _SCRAPES, 1_701)  # the scrapes that find Triton started anew, each seven hours
_DOWN = 2  # scrapes before, which find nothing
_TARGET = 'job="triton",instance="10.0.0.7:8002"'  # a loopback address would be no dimension


class Point(NamedTuple):
    """One row: which series, at which T (epoch s)."""

    name: str
    model: str
    version: str
    time: float


@contextmanager
def prometheus(folder: Path, end: float) -> Iterator[str]:
    """The address of a Prometheus with blocks of the 48 h up to ``end``, as shipped."""
    samples = folder / "samples"
    with samples.open("w", encoding="ascii") as file:
        file.writelines(_lines(end))
        file.write("# EOF\n")
    promtool = stack.tool("prometheus.sh") / "promtool"
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", samples, folder / "tsdb"]
    subprocess.run(command, check=True, capture_output=True)
    samples.unlink()
    # Its head is empty, and nothing is to be scraped: blocks are all that it has.
    with stack.prometheus(folder, targets=[]) as server:
        yield server.url


def points(mode: str, hours: int, end: float) -> dict[Point, float]:
    """The value of each point that a bridge owes of the last hours, by a mode: ``increase`` or ``value``."""
    owed = {}
    minutes = range((HOURS - hours) * 60, HOURS * 60)
    for series in SERIES:
        by_minute = (_gains if mode == "increase" else _last)(_scraped(series))
        for minute in minutes:
            if minute in by_minute:
                owed[Point(*series, end - (HOURS * 60 - minute - 1) * 60)] = by_minute[minute]
    return owed


def _lines(end: float) -> Iterator[str]:
    begin = round(end) - HOURS * 3600
    times = [f"{begin + scrape * SCRAPE_INTERVAL + _OFFSET:.3f}\n" for scrape in range(_SCRAPES)]
    for scrape, time in enumerate(times):
        yield f"up{{{_TARGET}}} {int(_is_up(scrape))} {time}"
    for name, model, version in SERIES:
        labels = f'{name}{{{_TARGET},model="{model}",version="{version}"}}'
        for scrape, value in _scraped((name, model, version)).items():
            yield f"{labels} {value} {times[scrape]}"


def _is_up(scrape: int) -> bool:
    return not any(scrape in range(start - _DOWN, start) for start in _STARTS)


def _scraped(series: tuple[str, str, str]) -> dict[int, int]:
    """The values of a counter, by the number of the scrape; it begins at zero where Triton does."""
    found, value = {}, 0
    for scrape, step in enumerate(random.Random("/".join(series)).choices(range(400), k=_SCRAPES)):
        value = step if scrape in _STARTS else value + step
        if _is_up(scrape):
            found[scrape] = value
    return found


def _gains(scraped: dict[int, int]) -> dict[int, int]:
    """What was gained by the minutes in which it was seen. Of the very first sample nothing is known."""
    gained: dict[int, int] = {}
    scrapes = iter(scraped.items())
    _, last = next(scrapes)
    for scrape, value in scrapes:
        minute = scrape // _SCRAPES_A_MINUTE
        gained[minute] = gained.get(minute, 0) + (value - last if value >= last else value)
        last = value
    return gained


def _last(scraped: dict[int, int]) -> dict[int, int]:
    """The values at the ends of minutes, unless they were older than 35 s, the lookback, by then."""
    return {
        scrape // _SCRAPES_A_MINUTE: value
        for scrape, value in scraped.items()
        if scrape % _SCRAPES_A_MINUTE * SCRAPE_INTERVAL + _OFFSET > 60 - 35
    }
