"""Takes nothing, shows the main job: real Triton, real Prometheus, the bridge, and what arrives at Azure's end.

No account and no container: the sandbox stands in Azure's place. ``make demo`` runs it; ``make demo KEEP=1`` keeps
everything running until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.sandbox import Sandbox
from examples import stack, traffic

INTERVAL_S = 10
SCRAPE_INTERVAL = "1s"
CYCLES = 4
SELECTION = {
    "customMetrics": [
        "nv_inference_request_success",
        {"metric": "nv_inference_request_success", "mode": "increase", "name": "requests"},
        {"metric": "nv_inference_request_duration_us", "mode": "increase"},
        "nv_inference_request_success_irate",
        "nv_cpu_utilization",
    ],
}

console = Console(stderr=True, highlight=False)


def main() -> int:
    """Run the demo; exit code 1 if what arrived is not what Triton counted."""
    parser = argparse.ArgumentParser(description="The main job, on this machine.")
    parser.add_argument("--keep", action="store_true", help="keep running until Ctrl-C")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="triton-bridge-") as folder, ExitStack() as running:
            return _demo(Path(folder), running, keep=options.keep)
    except stack.StackError as error:
        console.print(f"[red]{error}[/]")
        return 1
    except KeyboardInterrupt:
        console.print("stopped")
        return 130


def _demo(folder: Path, running: ExitStack, *, keep: bool) -> int:
    (port,) = stack.free_ports(1)
    listen = f"127.0.0.1:{port}"
    with _step("starting Triton with two example models"):
        triton = running.enter_context(stack.triton(folder))
    with _step("starting Prometheus with the shipped configuration and rules"):
        prometheus = running.enter_context(
            stack.prometheus(folder, targets=[triton.metrics], scrape_interval=SCRAPE_INTERVAL, bridge=listen),
        )
    with _step("starting the sandbox, in Azure's place"):
        sandbox = running.enter_context(Sandbox())
    with _step("waiting until Prometheus has seen Triton"):
        stack.wait(
            lambda: bool(prometheus.query("nv_inference_request_success")), "Prometheus sees no Triton", prometheus
        )
    requests = running.enter_context(_trickle(triton))
    bridge, page = running.enter_context(_bridge(folder, prometheus.url, sandbox.connection_string, listen))
    with console.status("") as status:
        while len(times := {row["timestamp"] for row in sandbox.rows()}) < CYCLES:
            if bridge.poll() is not None:
                raise stack.StackError((folder / "bridge.log").read_text())
            status.update(
                f"{len(times)} of {CYCLES} cycles, one every {INTERVAL_S} s; {len(sandbox.rows())} rows so far"
            )
            time.sleep(0.2)
    _show(sandbox)
    requests.set()
    with _step("sending stops; waiting for what is still under way"):
        time.sleep(2 * INTERVAL_S)
    right = _compare(triton, sandbox)
    print(f"\nstatus page      {page}\nwhat arrived     {sandbox.url}\nPrometheus       {prometheus.url}")
    if not keep:
        print("they end with the demo; make demo KEEP=1 keeps them")
        return 0 if right else 1
    running.enter_context(_trickle(triton))
    print("all of it runs until Ctrl-C")
    return bridge.wait()


@contextmanager
def _step(what: str) -> Iterator[None]:
    begun = time.monotonic()
    with console.status(what):
        yield
    console.print(f"[green]✓[/] {what} [dim]({time.monotonic() - begun:.1f} s)[/]")


@contextmanager
def _trickle(triton: stack.TritonServer) -> Iterator[threading.Event]:
    """Requests over HTTP, and over gRPC where a client is installed, until the event is set; at most ten minutes."""
    enough = threading.Event()
    urls = [triton.http] + ([triton.grpc] if find_spec("tritonclient") else [])

    def send() -> None:
        for turn in range(600):
            if enough.is_set():
                return
            for url in urls:
                traffic.send(url, ("ident", "scorer")[turn % 3 == 0], 1 + turn % 4, rate=10)
            enough.wait(0.5)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    console.print(f"[green]✓[/] sending requests to {' and '.join(urls)}")
    try:
        yield enough
    finally:
        enough.set()
        thread.join()


@contextmanager
def _bridge(
    folder: Path, prometheus: str, connection_string: str, listen: str
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The daemon as a user would start it; and the address of its page."""
    selection = folder / "metrics.json"
    selection.write_text(json.dumps(SELECTION, indent=4))
    environment = {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BRIDGE_", "APPLICATIONINSIGHTS_"))
        },
        "APPLICATIONINSIGHTS_CONNECTION_STRING": connection_string,
        "BRIDGE_PROMETHEUS_URL": prometheus,
        "BRIDGE_METRICS_FILE": str(selection),
        "BRIDGE_INTERVAL": f"{INTERVAL_S}s",
        "BRIDGE_SCRAPE_INTERVAL": SCRAPE_INTERVAL,
        "BRIDGE_SETTLE_DELAY": "2s",
        "BRIDGE_STATE_DIR": str(folder / "state"),
        "BRIDGE_LISTEN": listen,
    }
    with (folder / "bridge.log").open("wb") as log:
        command = [sys.executable, "-m", "bridge", "run"]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    console.print("[green]✓[/] the bridge runs: [dim]triton-bridge run[/]")
    try:
        yield process, f"http://{listen}/"
    finally:
        process.terminate()
        process.wait(15)


def _show(sandbox: Sandbox) -> None:
    """The newest row of each series, as customMetrics holds it, and how many rows there are of it."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in sandbox.rows():
        dimensions = " ".join(f"{name}={value}" for name, value in sorted(row["customDimensions"].items()))
        rows.setdefault((row["name"], dimensions), []).append(row)
    table = Table(title="customMetrics: the newest row of each series", title_justify="left")
    for heading in ("metric", "dimensions", "value", "time", "rows accepted"):
        table.add_column(heading, justify="right" if heading in {"value", "rows accepted"} else "left", overflow="fold")
    for (name, dimensions), found in rows.items():
        newest = found[-1]
        table.add_row(name, dimensions, f"{newest['valueSum']:,.6g}", newest["timestamp"], str(len(found)))
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    posts = sandbox.posts()
    print(f"{sum(post.accepted for post in posts)} rows accepted of {sum(post.items for post in posts)} posted")


def _compare(triton: stack.TritonServer, sandbox: Sandbox) -> bool:
    """Whether the increments that arrived add up to Triton's own counter."""
    arrived = sum(row["valueSum"] for row in sandbox.rows() if row["name"] == "requests")
    counted = triton.counter("nv_inference_request_success")
    equal = arrived == counted
    print(f"Triton counted {counted:.0f} requests; the rows of 'requests' add up to {arrived:.0f}", end="")
    print(": equal, to the unit" if equal else " — NOT EQUAL")
    return equal


if __name__ == "__main__":
    sys.exit(main())
