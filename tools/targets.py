"""Takes BRIDGE_TRITON_TARGET, BRIDGE_SCRAPE_INTERVAL and BRIDGE_LISTEN, gives the file_sd documents of Prometheus' targets.

    python3 tools/targets.py TRITON.json [BRIDGE.json]

A document is written atomically; Prometheus sees the new file within moments. A value that cannot be used is one
line on stderr and exit code 2. Standard library only: it runs in an image before anything else does.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
from pathlib import Path

TARGET = "127.0.0.1:8002"
INTERVAL = "15s"
LISTEN = "127.0.0.1:9464"
BRIDGE = "triton-bridge"
# The rules take instant rates over 1m, which must hold two scrapes.
LONGEST_MS = 30_000
SHORTEST_MS = 1_000
# As in prometheus.yml: a scrape of T must be over by T + 5 s, when the bridge asks.
TIMEOUT_MS = 4_000

# https://prometheus.io/docs/prometheus/latest/configuration/configuration/ (duration)
UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
DURATION = re.compile("".join(rf"(?:(\d+){unit})?" for unit in UNITS_MS), re.ASCII)
HOST = re.compile(r"(?!-)[A-Za-z0-9._-]+", re.ASCII)

_UNSPECIFIED = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # where to ask, not to listen

Document = list[dict[str, object]]


def milliseconds(duration: str) -> int:
    """A duration as Prometheus writes it (``1m30s``), or bare seconds. ValueError for anything else."""
    if re.fullmatch(r"\d+(\.\d+)?", duration, re.ASCII):
        return round(float(duration) * 1_000)
    parts = DURATION.fullmatch(duration)
    if not duration or not parts:
        raise ValueError(f"BRIDGE_SCRAPE_INTERVAL: {duration!r} is not a duration such as 15s or 1m30s")
    return sum(int(number or 0) * size for number, size in zip(parts.groups(), UNITS_MS.values(), strict=True))


def is_address(text: str) -> bool:
    """Whether it is host:port; an IPv6 address stands in brackets."""
    host, _, port = text.rpartition(":")
    return re.fullmatch(r"\d{1,5}", port, re.ASCII) is not None and 1 <= int(port) <= 65_535 and _is_host(host)


def _is_host(host: str) -> bool:
    if not (host.startswith("[") and host.endswith("]")):
        return HOST.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True


def reachable(address: str) -> str:
    """The host, as URLs have it, by which to reach a server that listens on the address."""
    host = _UNSPECIFIED.get(address.strip("[]"), address.strip("[]"))
    return f"[{host}]" if ":" in host else host


def document(target: str = TARGET, interval: str = INTERVAL) -> Document:
    """The file_sd document for a Triton. ValueError, fit for a user, where a value cannot be used.

    Both durations always stand there: an interval below the time-out of prometheus.yml alone makes Prometheus drop
    the target.
    """
    if not is_address(target):
        raise ValueError(
            f"BRIDGE_TRITON_TARGET: {target!r} is not host:port of Triton's metrics, such as {TARGET} or [::1]:8002"
        )
    return [{"targets": [target], "labels": _times(_every(interval))}]


def bridge(listen: str = LISTEN, interval: str = INTERVAL) -> Document:
    """The file_sd document for the bridge that listens there. ValueError as above.

    Its times are Triton's: of all targets the longest decide how far the bridge looks back, and how long it waits. Its
    ``instance`` is a name. The bridge leaves out a loopback address, and of two targets on this machine ``up`` and
    ``process_…`` could then not be told apart.
    """
    host, _, port = listen.rpartition(":")
    address = f"{reachable(host)}:{port}"
    if not is_address(address):
        raise ValueError(f"BRIDGE_LISTEN: {listen!r} is not host:port, such as {LISTEN} or [::1]:9464")
    return [{"targets": [address], "labels": {"instance": BRIDGE, **_times(_every(interval))}}]


def _every(interval: str) -> int:
    every = milliseconds(interval)
    if not SHORTEST_MS <= every <= LONGEST_MS:
        raise ValueError(
            f"BRIDGE_SCRAPE_INTERVAL: {interval!r} is not within 1s and 30s: the recorded rates look back 1m"
        )
    return every


def _times(every: int) -> dict[str, object]:
    return {"__scrape_interval__": _written(every), "__scrape_timeout__": _written(min(TIMEOUT_MS, every))}


def _written(duration_ms: int) -> str:
    return f"{duration_ms}ms" if duration_ms % 1_000 else f"{duration_ms // 1_000}s"


def write(output: Path, wanted: Document) -> None:
    """Put the document in place whole or not at all; the folder is made if it is missing."""
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = output.with_name(output.name + ".new")
    beside.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    beside.replace(output)


def main(arguments: list[str]) -> int:
    if len(arguments) not in {1, 2}:
        print("usage: targets.py TRITON.json [BRIDGE.json]", file=sys.stderr)
        return 2
    interval = os.environ.get("BRIDGE_SCRAPE_INTERVAL") or INTERVAL
    try:
        found = {arguments[0]: document(os.environ.get("BRIDGE_TRITON_TARGET") or TARGET, interval)}
        if arguments[1:]:
            found[arguments[1]] = bridge(os.environ.get("BRIDGE_LISTEN") or LISTEN, interval)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        for output, wanted in found.items():
            write(Path(output), wanted)
    except OSError as error:
        print(f"{output}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
