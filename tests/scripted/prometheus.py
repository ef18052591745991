"""Takes samples, gives a Prometheus that answers what the bridge asks, over HTTP or in process, and fails when told to.

It knows just the questions of ``bridge.queries``: selectors by name, their ranges, ``last_over_time`` and ``time()``.
The live tests put the same questions to the real one.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Any

from bridge.durations import parse_duration
from tests.scripted.serving import Answer, Asked, serving

Reply = tuple[int, bytes]
_SELECTOR = re.compile(
    r'(?:last_over_time\()?(?:\{__name__=~"([^"]*)"(?:[^"}]|"(?:[^"\\]|\\.)*")*\}|(up)\{[^}]*\})(?:\[(\w+)\])?\)?'
)


class ScriptedPrometheus:
    """``with ScriptedPrometheus(clock) as prometheus: prometheus.add("m", [(t, v), …], model="a")``; in time's order.

    Outside of ``with`` it has no address, and only ``reply`` answers.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.lookback = 35.0
        self.scrape_interval = "15s"
        self.scrape_timeout = "4s"
        self.series: list[tuple[dict[str, str], list[tuple[float, float]]]] = []
        self.expressions: dict[str, list[dict[str, Any]]] = {}
        self.failures: list[Reply | None] = []  # consumed one a request; None lets one pass
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}  # of the newest request

    def __enter__(self) -> ScriptedPrometheus:  # noqa: PYI034 — Self needs Python 3.11
        self._server = serving(self._answer)
        self.url = f"http://{self._server.__enter__()}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__(None, None, None)

    def add(self, name: str, samples: list[tuple[float, float]], **labels: str) -> None:
        """Add a series of the target ``triton-0:8002``, and nothing to ``up``."""
        self.series.append(({"__name__": name, "job": "triton", "instance": "triton-0:8002", **labels}, samples))

    def scrape(self, times: list[float], *, up: float = 1.0) -> None:
        """Let ``up`` have samples at these times."""
        self.add("up", [(time, up) for time in times])

    def reply(self, path: str, query: dict[str, str]) -> Reply:
        if self.failures and (failure := self.failures.pop(0)):
            return failure
        if path == "/api/v1/targets":
            target = {
                "labels": {"job": "triton", "instance": "triton-0:8002"},
                "scrapeInterval": self.scrape_interval,
                "scrapeTimeout": self.scrape_timeout,
                "health": "up",
                "lastError": "",
            }
            return _success({"activeTargets": [target]})
        if path == "/api/v1/status/flags":
            return _success({"query.lookback-delta": f"{self.lookback:.0f}s"})
        if path != "/api/v1/query":
            return 404, b"404 page not found"
        self.asked.append(query["query"])
        if query["query"] == "time()":
            return _success({"resultType": "scalar", "result": [self.clock(), str(self.clock())]})
        return self._query(query["query"], float(query["time"]))

    def _query(self, expr: str, at: float) -> Reply:
        if expr in self.expressions:
            return _success({"resultType": "vector", "result": self.expressions[expr]})
        match = _SELECTOR.fullmatch(expr)
        if not match:
            return _failure(400, f"1:1: parse error: {expr}")
        names, up, span = match.groups()
        wanted = (names or up).split("|")
        last = expr.startswith("last_over_time(")
        window = parse_duration(span) if span else self.lookback
        rows = []
        for labels, samples in self.series:
            if labels["__name__"] not in wanted:
                continue
            first, last_one = bisect_left(samples, (at - window,)), bisect_right(samples, (at, float("inf")))
            if inside := [(t, str(v)) for t, v in samples[first:last_one]]:
                rows.append(
                    {"metric": labels, "value": [at, inside[-1][1]]}
                    if last or not span
                    else {"metric": labels, "values": inside},
                )
        return _success({"resultType": "matrix" if span and not last else "vector", "result": rows})

    def _answer(self, asked: Asked) -> Answer:
        self.headers = asked.headers
        status, body = self.reply(asked.path, asked.query)
        return Answer(body, status, "application/json")


def _success(data: object) -> Reply:
    return 200, json.dumps({"status": "success", "data": data}).encode()


def _failure(status: int, error: str) -> Reply:
    return status, json.dumps({"status": "error", "errorType": "bad_data", "error": error}).encode()
