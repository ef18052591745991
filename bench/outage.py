"""Takes nothing, prints what it costs to repair an outage of the service: ``python -m bench.outage``.

A real Prometheus holds two days of 100 counters. Each row is a bridge in a process of its own, with a new state folder,
that owes the last hours; a sandbox stands in Azure's place. What arrives is held against the raw samples, point by point.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

from bench.history import NAMES, SERIES, Point, points, prometheus
from bench.points import memory, selection, spine
from bench.replies import INTERVAL

ROWS = (("increase", 1), ("increase", 6), ("increase", 24), ("increase", 47), ("value", 6))
_PARTS_A_COLLECTION = 20  # as in bridge.turns
_PARTS_A_PAUSE = 60  # the sandbox keeps a bounded number of rows


def repair(url: str, string: str, mode: str, hours: int, end: float, pause: Callable[[], object]) -> dict[str, float]:
    """Repair the last hours up to ``end``; what that cost. In each pause the sandbox may be emptied."""
    from bridge.backlog import Backlog
    from bridge.backlog.files import OsFiles
    from bridge.delivery import Delivery
    from bridge.points import Outcome, Settlement
    from bridge.prometheus import Prometheus
    from bridge.repair import Repair
    from bridge.turns import collect_between_cycles

    class Source(Prometheus):
        questions = 0

        def ask(self, expr: str, at: float) -> Any:
            self.questions += 1
            return super().ask(expr, at)

        def lookback(self) -> float:
            self.questions += 1
            return super().lookback()

    class Disk(OsFiles):
        most = 0

        def append(self, path: Path, data: bytes, *, sync: bool) -> None:
            super().append(path, data, sync=sync)
            self.most = max(self.most, sum(file.stat().st_size for file in path.parent.iterdir()))

    source, disk = Source(url), Disk()
    with TemporaryDirectory() as folder:
        backlog = Backlog(Path(folder), files=disk)
        backlog.lock()
        cycle = spine(source, Delivery(string), backlog)
        cycle.in_force(selection(NAMES, mode), end - hours * 3600)
        gc.freeze()
        reports, costs, paused = [], [], 0.0
        begun, before = time.monotonic(), time.process_time()
        for number, report in enumerate(Repair(cycle).reports(end, begun + 3600), 1):
            assert report.settlement is Settlement.SETTLED, report
            reports.append((report.outcomes[Outcome.ACCEPTED], report.posts, report.seconds))
            if number % _PARTS_A_COLLECTION == 0:
                collect_between_cycles()
            costs.append(time.process_time() - before)
            if number % _PARTS_A_PAUSE == 0:
                paused -= time.monotonic()
                pause()
                paused += time.monotonic()
            before = time.process_time()
        seconds = time.monotonic() - begun - paused
        accepted, posts, each = zip(*reports, strict=True)
        assert backlog.account.points[Outcome.ACCEPTED] == sum(accepted)
    return {
        "cycles": len(reports),
        "points": sum(accepted),
        "seconds": seconds,
        "cpu": sum(costs) / sum(accepted) * 1e6,
        "typical": median(costs),
        "memory": memory("VmHWM"),
        "questions": source.questions,
        "posts": sum(posts),
        "disk": disk.most / 1e3,
        "slowest": max(each) * 1e3,
    }


@contextmanager
def sandbox() -> Iterator[str]:
    """The connection string of a sandbox in a process of its own."""
    command = [sys.executable, "-m", "bridge", "sandbox", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield next(line.strip().partition("=")[2] for line in process.stdout if line.startswith("APPLICATION"))
        finally:
            process.terminate()


class Sink:
    """What arrives at a sandbox, held against the points that are owed: each once, and its value to the unit."""

    def __init__(self, string: str, owed: Mapping[Point, float]) -> None:
        self.owed = dict(owed)
        self._rows = f"{string.partition('IngestionEndpoint=')[2]}_rows"

    def empty(self) -> None:
        """Check what arrived, and forget it. AssertionError for a value that is wrong, KeyError for a row too many."""
        with urlopen(self._rows) as reply:
            rows = json.load(reply)
        urlopen(Request(self._rows, method="DELETE")).close()
        for row in rows:
            of = row["customDimensions"]
            at = datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00")).timestamp()
            point = Point(row["name"], of["model"], of["version"], at)
            assert row["value"] == self.owed.pop(point), point


def _measured(url: str, mode: str, hours: int, end: float) -> dict[str, float]:
    """One row in a process of its own, all of whose points have arrived."""
    with sandbox() as string:
        sink = Sink(string, points(mode, hours, end))
        command = [sys.executable, "-m", "bench.outage", url, string, mode, str(hours), str(end)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            assert process.stdout
            while (line := process.stdout.readline()) == "\n":
                sink.empty()
                print(file=process.stdin, flush=True)
        sink.empty()
    assert not sink.owed, f"{len(sink.owed)} points did not arrive"
    return dict(json.loads(line))


def _pause() -> None:
    print(flush=True)
    input()


def main() -> None:
    print(
        f"repair of the last hours of {len(SERIES)} series, from a real Prometheus to a sandbox; each point arrived once"
    )
    print("CPU in µs a point, and that of a median cycle against the first row's; peak memory in MB; questions to")
    print("Prometheus; the state folder at most, in kB; the slowest cycle in ms: a live one may have to wait for it\n")
    print(
        f"{'mode':9}{'hours':>6}{'cycles':>8}{'points':>9}{'s':>8}{'cycles/s':>10}{'CPU':>7}{'ratio':>7}{'MB':>6}"
        f"{'questions':>11}{'posts':>7}{'kB':>6}{'slowest':>9}"
    )
    end = time.time() // INTERVAL * INTERVAL
    typical = None
    with TemporaryDirectory() as folder, prometheus(Path(folder), end) as url:
        for mode, hours in ROWS:
            row = _measured(url, mode, hours, end)
            typical = typical or row["typical"]
            print(
                f"{mode:9}{hours:6}{row['cycles']:8}{row['points']:9}{row['seconds']:8.1f}"
                f"{row['cycles'] / row['seconds']:10.1f}{row['cpu']:7.1f}{row['typical'] / typical:7.2f}"
                f"{row['memory']:6.0f}{row['questions']:11}{row['posts']:7}{row['disk']:6.0f}{row['slowest']:9.0f}",
                flush=True,
            )


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        url, string, mode, hours, end = sys.argv[1:]
        print(json.dumps(repair(url, string, mode, int(hours), float(end), _pause)))
