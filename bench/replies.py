"""Takes a number of series, serves a Prometheus that always gives the same reply: ``python -m bench.replies 1000``.

It runs in a process of its own, so that its work is not counted. Series are spread over 25 metric names and bear the
labels of a Triton in Kubernetes, with values that move like counters.
"""

from __future__ import annotations

import json
import random
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

T = 1_795_000_020
NAMES = [f"nv_inference_bench_metric_{number:02}" for number in range(25)]
INTERVAL, SCRAPE_INTERVAL = 60, 15


def labels(number: int) -> dict[str, str]:
    """The labels of series ``number``."""
    return {
        "__name__": NAMES[number % len(NAMES)],
        "instance": f"10.0.{number % 7}.{number % 250}:8002",
        "job": "triton",
        "model": f"model_{number // len(NAMES)}",
        "version": str(1 + number % 3),
        "reason": random.choice(["REJECTED", "CANCELED", "BACKEND", "OTHER"]),
    }


def replies(series: int) -> dict[str, bytes]:
    """The bodies for values, raw samples, ``up`` and the rest, by what the query looks like."""
    random.seed(series)
    vector, matrix = [], []
    for number in range(series):
        start = random.uniform(0, 1e7)
        samples = [
            [T - age + number % 1000 / 1000 - 1, f"{start + 7 * (75 - age):.3f}"]
            for age in range(INTERVAL + SCRAPE_INTERVAL, -1, -SCRAPE_INTERVAL)
        ]
        metric = labels(number)
        vector.append({"metric": metric, "value": [T, samples[-1][1]]})
        matrix.append({"metric": metric, "values": samples})
    up = [{"metric": {"__name__": "up", "job": "triton"}, "values": [[T - 5, "1"]]}]
    return {
        "vector": _body("vector", vector),
        "matrix": _body("matrix", matrix),
        "up": _body("matrix", up),
        "time": _body("scalar", [T + 10, str(T + 10)]),
        "flags": _success({"query.lookback-delta": "35s"}),
        "targets": _success({"activeTargets": []}),
    }


def _body(kind: str, result: object) -> bytes:
    return _success({"resultType": kind, "result": result})


def _success(data: object) -> bytes:
    return json.dumps({"status": "success", "data": data}, separators=(",", ":")).encode()


def serve(series: int) -> None:
    """Print the address, then answer until killed."""
    bodies = replies(series)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            key = next((k for k in ("flags", "targets", "time%28", "up%7B") if k in self.path), "")
            key = key.partition("%")[0] if key else "matrix" if "%5B" in self.path else "vector"
            self.send_response(200)
            self.send_header("Content-Length", str(len(bodies[key])))
            self.end_headers()
            self.wfile.write(bodies[key])

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
