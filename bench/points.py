"""Takes nothing, prints what a point costs: ``python -m bench.points``.

CPU from Prometheus' reply to the compressed body, bytes on the wire and peak memory, each beside what
``AzureMonitorMetricExporter.export()`` costs for the same points in the same run. Every row is a process of its own;
the replies come from another one. The last table holds memory after 60 and 600 whole cycles against each other.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.replies import INTERVAL, NAMES, SCRAPE_INTERVAL, T

SIZES = (100, 1_000, 10_000, 50_000)
MODES = ("value", "increase")
TURNS = 5
KEY = "11111111-2222-3333-4444-555555555555"


@contextmanager
def replies(series: int) -> Iterator[str]:
    """The address of a Prometheus with that many series."""
    command = [sys.executable, "-m", "bench.replies", str(series)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def bridge(url: str, mode: str) -> dict[str, float]:
    """CPU, bytes and memory of whole cycles, whose batches nobody takes."""
    from bridge.points import Receipt
    from bridge.turns import collect_between_cycles

    class Counter:
        points = bytes = 0

        def paused(self) -> None:
            """Nothing forbids to post."""

        def post(self, batch: Any, *, timeout: float | None = None) -> Receipt:  # noqa: ARG002 — a Sink's
            self.points += batch.points
            self.bytes += len(batch.body)
            return Receipt(accepted=batch.points)

    counter = Counter()
    cycle = _cycle(url, mode, counter)
    gc.freeze()
    cpu = []
    for _ in range(TURNS + 1):
        _let_fall_due(cycle)
        begun = time.process_time()
        cycle.run(T)
        collect_between_cycles()
        cpu.append(time.process_time() - begun)
    points = counter.points / len(cpu)
    # The first cycle makes the templates that the others use.
    return {
        "points": points,
        "cpu": median(cpu[1:]) / points * 1e6,
        "bytes": counter.bytes / counter.points,
        "memory": memory("VmHWM"),
    }


def exporter(url: str, mode: str) -> dict[str, float]:
    """CPU, bytes and memory of the exporter's ``export()`` of the same points; its network is cut off."""
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from bridge.queries import Window, questions

    selected = selection(NAMES, mode)
    asked = questions(selected, Window(INTERVAL, SCRAPE_INTERVAL), check_age=False)
    metrics = list(_metrics(url, selected, asked))
    points = sum(len(metric.data.data_points) for metric in metrics)
    scope = ScopeMetrics(InstrumentationScope("bench"), metrics, "")
    data = MetricsData([ResourceMetrics(Resource({}), [scope], "")])
    azure, transport = _exporter()
    turns = 1 if points > 10_000 else 2
    cpu = []
    for _ in range(turns):
        begun = time.process_time()
        azure.export(data)
        cpu.append(time.process_time() - begun)
    return {
        "points": points,
        "cpu": min(cpu) / points * 1e6,
        "bytes": transport.sent / points,
        "memory": memory("VmHWM"),
    }


def growth(url: str, cycles: int) -> dict[str, float]:
    """Resident memory after that many whole cycles, posted to the sandbox in another process."""
    from bridge.delivery import Delivery
    from bridge.turns import collect_between_cycles

    command = [sys.executable, "-c", _SANDBOX]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sandbox:
        assert sandbox.stdout
        cycle = _cycle(url, "value", Delivery(sandbox.stdout.readline().strip()))
        gc.freeze()
        for _ in range(cycles):
            _let_fall_due(cycle)
            report = cycle.run(T)
            collect_between_cycles()
            assert report
            assert report.settlement.value == "settled", report
        sandbox.kill()
    return {"memory": memory("VmRSS")}


def spine(source: Any, sink: Any, backlog: Any) -> Any:
    """The bridge's own Cycle, as ``bridge.daemon`` builds it; no selection is in force yet."""
    import threading

    from opentelemetry.sdk.resources import Resource

    from bridge.cycle import Cycle, Patience, Terms
    from bridge.delivery import context_tags
    from bridge.envelopes import Encoder
    from bridge.instruments import Instruments
    from bridge.witness import Witness

    return Cycle(
        Terms(INTERVAL, 5, SCRAPE_INTERVAL, "", 1_000_000),
        source,
        Encoder(KEY, context_tags(Resource({}))),
        sink,
        Instruments(),
        Witness(),
        backlog,
        Patience(threading.Event()),
    )


def selection(names: Iterable[str], mode: str) -> Any:
    """These metrics, all in one mode."""
    from bridge.selection import parse

    return parse(json.dumps({"customMetrics": [{"metric": name, "mode": mode} for name in names]}))


def memory(field: str) -> float:
    """Resident memory of this process in MiB: VmRSS now, VmHWM at most.

    Not getrusage's: its peak begins with that of the process that started this one.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith(field))


def _cycle(url: str, mode: str, sink: Any) -> Any:
    from bridge.backlog import Backlog
    from bridge.prometheus import Prometheus

    cycle = spine(Prometheus(url, timeout=60), sink, Backlog(None))
    cycle.in_force(selection(NAMES, mode), T - INTERVAL)
    return cycle


def _let_fall_due(cycle: Any) -> None:
    """Let T be due once more: the replies are those for T."""
    cycle.backlog.again(T - INTERVAL, T, repeat=True)


_SANDBOX = f"""
import signal
from bridge.sandbox import Sandbox
sandbox = Sandbox(now=lambda: {T}, max_rows=1000)
sandbox.start()
print(sandbox.connection_string, flush=True)
signal.pause()
"""


def _metrics(url: str, selected: Any, asked: Any) -> Any:
    from bridge.prometheus import Prometheus
    from bridge.queries import Kind
    from bridge.telemetry import Answers, Cut, translate

    source = Prometheus(url, timeout=60)
    found = {question.kind: source.ask(question.expr, T) for question in asked}
    source.close()
    answers = Answers(values=found.get(Kind.VALUES, ()), samples=found.get(Kind.SAMPLES, ()))
    return translate(selected, answers, Cut(T - INTERVAL, T, INTERVAL), max_series=1_000_000).metrics


def _exporter() -> tuple[Any, Any]:
    """The exporter with its own storage, limiter and retries off, with a transport that counts bytes and says that all is well."""
    import os

    for switch in ("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED"):
        os.environ[f"APPLICATIONINSIGHTS_{switch}"] = "true"
    from azure.core.pipeline.transport import RequestsTransport
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter

    class Nowhere(RequestsTransport):
        sent = 0

        def send(self, request: Any, **_: Any) -> Any:
            self.sent = len(request.content or request.body)
            raise ConnectionError

    transport = Nowhere()
    azure = AzureMonitorMetricExporter(
        connection_string=f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:9",
        disable_offline_storage=True,
        max_envelopes_per_second=0,
        retry_total=0,
        transport=transport,
    )
    return azure, transport


def _measured(what: str, url: str, argument: object) -> dict[str, float]:
    """One row in a process of its own."""
    command = [sys.executable, "-m", "bench.points", what, url, str(argument)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))


def main() -> None:
    print("from Prometheus' reply to the compressed body, beside the exporter's export() of the same points")
    print("CPU in µs a point, bytes on the wire a point, peak memory of the process in MB\n")
    print(
        f"{'mode':9}{'series':>8}{'CPU':>8}{'export':>9}{'ratio':>8}{'bytes':>8}{'export':>8}{'ratio':>8}{'MB':>7}{'export':>8}"
    )
    for size in SIZES:
        with replies(size) as url:
            for mode in MODES:
                ours, theirs = _measured("bridge", url, mode), _measured("exporter", url, mode)
                assert ours["points"] == theirs["points"] == size
                print(
                    f"{mode:9}{size:8}{ours['cpu']:8.1f}{theirs['cpu']:9.1f}{theirs['cpu'] / ours['cpu']:8.1f}"
                    f"{ours['bytes']:8.1f}{theirs['bytes']:8.0f}{theirs['bytes'] / ours['bytes']:8.1f}"
                    f"{ours['memory']:7.0f}{theirs['memory']:8.0f}",
                    flush=True,
                )
    print("\nresident memory in MB after whole cycles of 1,000 series, posted to a sandbox")
    with replies(1_000) as url:
        few, many = (_measured("growth", url, cycles)["memory"] for cycles in (60, 600))
    print(f"60 cycles {few:.1f}   600 cycles {many:.1f}   ratio {many / few:.3f}")


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    elif sys.argv[1] == "growth":
        print(json.dumps(growth(sys.argv[2], int(sys.argv[3]))))
    else:
        print(json.dumps({"bridge": bridge, "exporter": exporter}[sys.argv[1]](sys.argv[2], sys.argv[3])))
