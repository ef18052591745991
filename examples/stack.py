"""Takes a folder, gives a real Triton and a real Prometheus that run on free loopback ports until the block is left.

    with stack.triton(folder) as triton, stack.prometheus(folder, targets=[triton.metrics]) as prometheus:
        ...

Prometheus runs with what is shipped: its configuration, rules and flags, and target files as tools/targets.py writes
them. Logs stay in the folder; their end stands in the error where a server does not start or dies.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

from tools import targets as target_files

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "examples" / "models"

READY_S = 60.0
STOP_S = 40.0  # Triton itself waits 30 s for requests that are under way
POLL_S = 0.1

# Below the range from which Linux takes ports for outgoing connections: none of those can take the port of a server
# that is about to start, or that restarts.
_PORTS = range(20_000, 32_000)
_OPENER = build_opener(ProxyHandler({}))


class StackError(RuntimeError):
    """A server could not be had, did not become ready, or died; with the end of its log."""


def tool(script: str, *arguments: str) -> Path:
    """The folder that ``tools/SCRIPT`` prints, after whatever set-up it needs. StackError with its own words."""
    done = subprocess.run([ROOT / "tools" / script, *arguments], check=False, capture_output=True, text=True)
    if done.returncode:
        raise StackError(done.stderr.strip() or f"tools/{script} ended with {done.returncode}")
    return Path(done.stdout.strip())


def free_ports(number: int) -> list[int]:
    """Distinct ports that nothing listens on at this moment."""
    found: list[int] = []
    with ExitStack() as held:
        # Not the module's own generator: whoever seeds it (as hypothesis does) would give two processes the same ports.
        for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
            if len(found) == number:
                break
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
    return found


class Server:
    """One process of ours: how it starts, when it is ready, how it ends."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path, ready: str) -> None:
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        # Whoever starts a server may be killed: it must not stay behind. A session of its own: Ctrl-C goes to the
        # starter alone, who ends the servers in order.
        guard = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        self._command = [*guard, *command]
        self._ready = ready

    def start(self) -> None:
        """Start it and wait until it is ready. StackError if it ends, or is not ready in a minute."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        wait(self.is_ready, f"{self.name} is not ready", self)

    def is_ready(self) -> bool:
        """Whether it answers; StackError if the process has ended."""
        if self.process is None or self.process.poll() is not None:
            status = "was not started" if self.process is None else f"ended with {self.process.returncode}"
            raise StackError(f"{self.name} {status}\n{self.tail()}")
        try:
            get(self._ready)
        except OSError:
            return False
        return True

    def stop(self) -> int | None:
        """End it in an orderly way, by force after a while; its exit status, None if it never ran."""
        if self.process is None:
            return None
        self.process.terminate()
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int | None:
        """End it at once (SIGKILL); its exit status, None if it never ran."""
        if self.process is None:
            return None
        self.process.kill()
        return self.process.wait()

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same ports, with the same files."""
        self.stop()
        self.start()

    def tail(self, lines: int = 20) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join([f"the end of {self.log}:", *text.splitlines()[-lines:]])


class TritonServer(Server):
    """A Triton: ``http`` and ``grpc`` are URLs, ``metrics`` is host:port as BRIDGE_TRITON_TARGET wants it."""

    def __init__(self, workdir: Path, models: Path, extra_flags: Sequence[str], ports: Sequence[int]) -> None:
        http, grpc, metrics = ports
        self.http = f"http://127.0.0.1:{http}"
        self.grpc = f"grpc://127.0.0.1:{grpc}"
        self.metrics = f"127.0.0.1:{metrics}"
        addresses = [
            f"--{name}-{key}={value}"
            for name, port in (("http", http), ("grpc", grpc), ("metrics", metrics))
            for key, value in (("address", "127.0.0.1"), ("port", port))
        ]
        command: list[str | Path] = [
            tool("triton.sh") / "tritonserver",
            f"--model-repository={models}",
            *addresses,
            *extra_flags,
        ]
        super().__init__("Triton", command, workdir / "triton.log", f"{self.http}/v2/health/ready")

    def is_ready(self) -> bool:
        if not super().is_ready():
            return False
        try:
            self.exposition()
        except OSError:  # its health is told before the port of its metrics opens
            return False
        return True

    def exposition(self) -> str:
        """What it exposes now."""
        return get(f"http://{self.metrics}/metrics")

    def counter(self, name: str, **labels: str) -> float:
        """The sum of its own series of that name and those labels. LookupError if it exposes none."""
        values = [
            float(value)
            for found, text, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", self.exposition(), re.MULTILINE)
            if found == name and labels.items() <= dict(re.findall(r'(\w+)="([^"]*)"', text)).items()
        ]
        if not values:
            raise LookupError(f"Triton exposes no {name} with {labels}")
        return sum(values)


class PrometheusServer(Server):
    """A Prometheus with a copy of the shipped configuration in ``config``, answering at ``url``."""

    def __init__(self, workdir: Path, extra_flags: Sequence[str], port: int, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.config = workdir / "prometheus"
        shutil.copytree(ROOT / "prometheus", self.config, ignore=shutil.ignore_patterns("tests"), dirs_exist_ok=True)
        command: list[str | Path] = [
            folder / "prometheus",
            f"--config.file={self.config / 'prometheus.yml'}",
            f"--storage.tsdb.path={workdir / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
            *(self.config / "flags").read_text().split(),
            *extra_flags,
        ]
        super().__init__("Prometheus", command, workdir / "prometheus.log", f"{self.url}/-/ready")

    def aim(self, targets: Sequence[str], scrape_interval: str, *, bridge: str | None = None) -> None:
        """Scrape these (host:port) and no others from now on; a running Prometheus takes a moment to follow.

        ``bridge`` is where one listens. StackError where a value cannot be used.
        """
        folder = self.config / "targets"
        try:
            wanted = {
                folder / f"triton-{number}.json": target_files.document(target, scrape_interval)
                for number, target in enumerate(targets)
            }
            if bridge:
                wanted[folder / "bridge.json"] = target_files.bridge(bridge, scrape_interval)
        except ValueError as error:
            raise StackError(str(error)) from error
        for path, document in wanted.items():
            target_files.write(path, document)
        for path in set(folder.glob("*.json")) - set(wanted):
            path.unlink()

    def reload(self) -> None:
        """Make it read its configuration and rules again, and wait for that. StackError if it refuses them."""
        before = self._gauge("prometheus_config_last_reload_success_timestamp_seconds")
        assert self.process is not None, "reload() of a Prometheus that was not started"
        self.process.send_signal(signal.SIGHUP)

        def done() -> bool:
            if not self._gauge("prometheus_config_last_reload_successful"):
                raise StackError(f"Prometheus refuses its configuration\n{self.tail()}")
            return self._gauge("prometheus_config_last_reload_success_timestamp_seconds") > before

        wait(done, "Prometheus did not reload", self)

    def api(self, path: str, **parameters: str | float) -> Any:
        """``data`` of its answer to ``/api/v1/PATH``, such as ``query`` with ``query`` and ``time``."""
        return json.loads(get(f"{self.url}/api/v1/{path}?{urlencode(parameters)}"))["data"]

    def query(self, promql: str, **parameters: str | float) -> list[tuple[dict[str, str], float]]:
        """An instant query: labels and value of each row."""
        rows = self.api("query", query=promql, **parameters)["result"]
        return [(row["metric"], float(row["value"][1])) for row in rows]

    def _gauge(self, name: str) -> float:
        found = re.search(rf"^{name} (\S+)$", get(f"{self.url}/metrics"), re.MULTILINE)
        return float(found[1]) if found else 0.0


@contextmanager
def triton(
    workdir: Path, *, models: Path = MODELS, extra_flags: Sequence[str] = (), ports: Sequence[int] | None = None
) -> Iterator[TritonServer]:
    """A running Triton with a copy of ``models``; ``ports`` are those of HTTP, gRPC and metrics, free ones without.

    Summaries need ``extra_flags=["--metrics-config", "summary_latencies=true"]``.
    """
    copy = workdir / "models"
    shutil.copytree(models, copy, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    with _running(lambda: TritonServer(workdir, copy, extra_flags, ports or free_ports(3))) as server:
        yield server


@contextmanager
def prometheus(
    workdir: Path,
    *,
    targets: Sequence[str],
    scrape_interval: str = "15s",
    bridge: str | None = None,
    extra_flags: Sequence[str] = (),
    port: int | None = None,
    folder: Path | None = None,
) -> Iterator[PrometheusServer]:
    """A running Prometheus that scrapes ``targets`` (host:port), as BRIDGE_SCRAPE_INTERVAL would have it.

    It scrapes a ``bridge`` too, by where that listens. ``folder`` is where the program is; without, the one that tools/prometheus.sh prints.
    """

    def made() -> PrometheusServer:
        server = PrometheusServer(workdir, extra_flags, port or free_ports(1)[0], folder or tool("prometheus.sh"))
        server.aim(targets, scrape_interval, bridge=bridge)
        return server

    with _running(made) as server:
        yield server


_Running = TypeVar("_Running", bound=Server)


@contextmanager
def _running(make: Callable[[], _Running], tries: int = 3) -> Iterator[_Running]:
    for last in (False,) * (tries - 1) + (True,):
        server = make()
        try:
            server.start()
            break
        except StackError as error:
            server.kill()
            # Someone was quicker on one of the ports: other ports.
            if last or not re.search("address already in use|unavailable", str(error), re.IGNORECASE):
                raise
        except BaseException:
            server.kill()
            raise
    try:
        yield server
    finally:
        server.stop()


def wait(condition: Callable[[], bool], failure: str, server: Server | None = None, seconds: float = READY_S) -> None:
    """Ask until the condition holds. StackError with ``failure``, and the end of the server's log, past ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise StackError("\n".join([f"{failure} after {seconds:g} s", *([server.tail()] if server else [])]))
        time.sleep(POLL_S)


def get(url: str) -> str:
    """The body of the answer. OSError where there is none, or an error status (urllib's HTTPError)."""
    with _OPENER.open(url, timeout=5) as reply:
        body: bytes = reply.read()
    return body.decode()
