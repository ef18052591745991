"""Takes time that passes, gives what Triton counts, what a Prometheus holds of it, and the points that must come of that."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from bridge.errors import PrometheusRefused, PrometheusUnreachable
from bridge.points import Series, Sighting
from bridge.prometheus import Target
from tests.scripted.prometheus import ScriptedPrometheus

SCRAPE = 15.0
LOOKBACK = 35.0  # s, Prometheus' own
MODELS = ("a", "b")
COUNTERS = {"c": 7.0, "d": 3.0}  # and what they gain a second; "m" is a gauge

Key = tuple[str, str]  # a series: metric, model
Point = tuple[Key, float]  # and a time


class Metrics:
    """A Prometheus, and what Triton counts. ``now`` is the machine's clock; ``state`` decides what a question gets."""

    def __init__(
        self, now: Callable[[], float], monotonic: Callable[[], float], pass_: Callable[[float], None]
    ) -> None:
        self.prometheus = ScriptedPrometheus(now)
        self.prometheus.lookback = LOOKBACK
        self.state = "well"
        self.asked = 0
        self.told = 0.0  # when (``monotonic``) it said what time it is
        self.fails = range(0)  # the questions that are not answered, by their number
        self.times: list[float] = []
        self.raw: dict[Key, list[tuple[float, float]]] = {(name, one): [] for name in COUNTERS for one in MODELS}
        self.seen: dict[Point, float] = {}  # of gauges, by the bridge itself
        self._begun = now()  # when Triton was started
        self._pass = pass_
        self._monotonic = monotonic
        self._series: dict[Key, list[tuple[float, float]]] = {}
        self._up: list[tuple[float, float]] = []
        self.prometheus.add("up", self._up)
        for name in ("m", *COUNTERS):
            for model in MODELS:
                self._series[name, model] = []
                self.prometheus.add(name, self._series[name, model], model=model)

    def restart_triton(self, now: float) -> None:
        """All counters begin at zero."""
        self._begun = now

    def scrape(self, time: float) -> None:
        """A scrape, if Prometheus runs."""
        if self.state == "stopped":
            return
        self.times.append(time)
        self._up.append((time, 1.0))
        for key, samples in self._series.items():
            samples.append((time, self.value(key, time)))
            if key[0] in COUNTERS:
                self.raw[key].append(samples[-1])

    def value(self, key: Key, time: float) -> float:
        """What stands on Triton's port."""
        name, model = key
        if name == "m":
            return time % 100_000 + MODELS.index(model) / 4
        return math.floor(max(0.0, time - self._begun) * (COUNTERS[name] + MODELS.index(model)))

    def exposition(self, time: float) -> str:
        """All of it."""
        return "".join(f'{key[0]}{{model="{key[1]}"}} {self.value(key, time)}\n' for key in self._series)

    def saw(self, sighting: Sighting) -> None:
        """The bridge took a sample of its own."""
        for labels, value in (sighting.samples or {}).items():
            known = dict(labels)
            key = known["__name__"], known["model"]
            if key[0] not in COUNTERS:
                self.seen[key, sighting.time] = float(value)
                continue
            samples = self.raw[key]
            if (sighting.time, float(value)) not in samples:
                samples.append((sighting.time, float(value)))
                samples.sort()

    # -- what must come of it ----------------------------------------------------------------------------------------

    def scraped(self, start: float, end: float) -> bool:
        """Whether there was a scrape in (start, end]."""
        return bisect_right(self.times, start) < bisect_right(self.times, end)

    def row(self, key: Key, start: float, end: float) -> float | None:
        """The value of the point of (start, end]; None without one, NaN where it may be one or another."""
        if (key, end) in self.seen:
            # Posted now, or asked for later like any other grid time.
            return self.seen[key, end] if end % SCRAPE else math.nan
        if key[0] == "m":
            last = [time for time in self.times if end - LOOKBACK <= time <= end][-1:]
            return self.value(key, last[0]) if last else None
        samples = self.raw[key]
        first, beyond = bisect_right(samples, (start, math.inf)), bisect_right(samples, (end, math.inf))
        if first == beyond:
            return None
        before = samples[first - 1] if first else None
        if before is not None and end - before[0] > 3500:
            if end - before[0] < 3800:
                return math.nan
            before = None
        gained, last_value = 0.0, before[1] if before else samples[first][1]
        for _, value in samples[first:beyond]:
            gained += value - last_value if value >= last_value else value
            last_value = value
        return gained

    # -- as a Source -------------------------------------------------------------------------------------------------

    def now(self) -> float:
        now = float(self._get("query", query="time()")["result"][1])
        self.told = self._monotonic()
        return now

    def ask(self, expr: str, at: float) -> list[Series]:
        result = self._get("query", query=expr, time=f"{at:.3f}")["result"]
        return [
            Series(row["metric"], [(time, value) for time, value in row.get("values") or [row["value"]]])
            for row in result
        ]

    def targets(self) -> list[Target]:
        (found,) = self._get("targets")["activeTargets"]
        return [Target(found["labels"]["job"], found["labels"]["instance"], SCRAPE, 4.0, "up", "")]

    def lookback(self) -> float:
        self._get("status/flags")
        return LOOKBACK

    def _get(self, path: str, **query: str) -> Any:
        self.asked += 1
        if self.state in {"away", "stopped"} or self.asked in self.fails:
            self._pass(1.0)
            raise PrometheusUnreachable("refused")
        self._pass(0.02)
        status, body = self.prometheus.reply(f"/api/v1/{path}", query)
        if status != 200:
            raise PrometheusRefused(status, body.decode())
        return json.loads(body)["data"]
