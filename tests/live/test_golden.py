"""Whole expositions of real exporters, two scrapes each: the rows of one cycle, as they arrive in ``customMetrics``.

``golden/NAME.before.prom`` stands at the scrapes 65 s and 35 s before T, ``NAME.after.prom`` at the one 5 s before it.
What ``NAME.rows.json`` expects was worked out from these texts; numbers have twelve digits there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge import exposition
from bridge.answers import Asker, Interval, gather
from bridge.envelopes import Encoder
from bridge.prometheus import Prometheus
from bridge.queries import Question, Window
from bridge.sandbox import Sandbox
from bridge.selection import load
from bridge.telemetry import Reading, translate
from examples import stack
from tests.remote_write import receiver, write

pytestmark = pytest.mark.live

GOLDEN = Path(__file__).with_name("golden")
T = 1_700_000_040.0
KEPT = ("name", "value", "valueCount", "valueMin", "valueMax", "customDimensions")

TARGETS = {
    # Triton 2.51.0 with two models and summaries, just started; and after 400 requests of three rows each.
    "triton_idle": {"job": "triton", "instance": "127.0.0.1:8002"},
    "triton_busy": {"job": "triton", "instance": "localhost:8002"},
    # The source documents' TensorRT service with the figures that they show, and 40 requests later.
    "tensorrt": {"job": "extra", "instance": "tensorrt:50078"},
    # In the formats of vLLM and of DCGM's exporter; the count of one GPU began anew in between.
    "vllm": {"job": "extra", "instance": "vllm:8000"},
    "dcgm": {"job": "extra", "instance": "gpu-node-1:9400"},
}


@pytest.fixture(scope="module")
def prometheus(prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.PrometheusServer]:
    with receiver(tmp_path_factory.mktemp("prometheus"), folder=prometheus_folder) as running:
        yield running


def _scraped(server: stack.PrometheusServer, name: str) -> None:
    """Let it hold what three scrapes of the target would have left."""
    target = TARGETS[name]
    samples: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = {}
    for before, text in ((65, "before"), (35, "before"), (5, "after")):
        shown = list(exposition.samples((GOLDEN / f"{name}.{text}.prom").read_text(encoding="utf-8")))
        for labels, value in [({"__name__": "up"}, "1"), *shown]:
            scraped = exposition.scraped_labels(labels, target)
            samples.setdefault(frozenset(scraped.items()), []).append((T - before, float(value)))
    write(server, [(dict(labels), found) for labels, found in samples.items()])


def _read(server: stack.PrometheusServer, name: str) -> Reading:
    selection, problems = load(GOLDEN / f"{name}.metrics.json"), []
    interval = Interval(T - 60, T, Window(60, 30), f'instance="{TARGETS[name]["instance"]}"')
    client = Prometheus(server.url)

    def own(question: Question) -> list[Any]:
        return client.ask(question.expr, T)

    answers = gather(selection, interval, Asker(own, own, client.lookback), problems)
    client.close()
    assert (problems, answers is None) == ([], False)
    return translate(selection, answers, interval.cut, max_series=1000)


def _posted(reading: Reading) -> list[dict[str, Any]]:
    """The rows that arrive, of the kept columns, in the order of their names and dimensions."""
    with Sandbox(now=lambda: T + 6) as sandbox, requests.Session() as session:
        session.trust_env = False
        encoder = Encoder("00000000-0000-0000-0000-000000000000", {})
        for batch in encoder.batches(reading.metrics):
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            answer = session.post(f"{sandbox.url}/v2.1/track", batch.body, headers=headers, timeout=30)
            assert answer.status_code == 200, answer.text
        rows = sandbox.rows()
    assert {row["timestamp"] for row in rows} == {"2023-11-14T22:14:00Z"}
    kept = [{column: _rounded(row[column]) for column in KEPT} for row in rows]
    return sorted(kept, key=lambda row: (row["name"], sorted(row["customDimensions"].items())))


def _rounded(value: Any) -> Any:
    return float(f"{value:.12g}") if isinstance(value, float) and math.isfinite(value) else value


@pytest.mark.parametrize("name", TARGETS)
def test_an_exposition_becomes_these_rows(prometheus: stack.PrometheusServer, name: str) -> None:
    expected = json.loads((GOLDEN / f"{name}.rows.json").read_text(encoding="utf-8"))
    _scraped(prometheus, name)

    reading = _read(prometheus, name)

    assert expected["rows"] == _posted(reading)
    assert expected["not_finite"] == reading.not_finite
    assert reading.read == len(expected["rows"]) + sum(expected["not_finite"].values())
