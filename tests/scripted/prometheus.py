"""Takes samples, gives a Prometheus that answers what the bridge asks, over HTTP or in process, and fails when told to.

It knows just the questions of ``bridge.queries``: selectors by name, their ranges, ``last_over_time`` and ``time()``.
The live tests put the same questions to the real one.
"""

from __future__ import annotations

import json
import re
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bridge.durations import parse_duration

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

    def __enter__(self) -> ScriptedPrometheus:  # noqa: PYI034 — Self needs Python 3.11
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

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

    def _handler(prometheus) -> type[BaseHTTPRequestHandler]:  # noqa: N805 — the handler has its own self
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms for an answer

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: found[0] for name, found in parse_qs(parts.query).items()}
                status, body = prometheus.reply(parts.path, query)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _success(data: object) -> Reply:
    return 200, json.dumps({"status": "success", "data": data}).encode()


def _failure(status: int, error: str) -> Reply:
    return status, json.dumps({"status": "error", "errorType": "bad_data", "error": error}).encode()
