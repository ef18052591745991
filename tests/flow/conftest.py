"""Makers for flow tests: the whole spine, over HTTP, with a clock that is moved by sleeping."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource

from bridge.backlog import Backlog
from bridge.cycle import Cycle, Patience, Terms
from bridge.delivery import Delivery, context_tags
from bridge.envelopes import Encoder
from bridge.instruments import Instruments
from bridge.points import Outcome, Report
from bridge.prometheus import Prometheus
from bridge.sandbox import Sandbox
from bridge.selection import SelectionFile, load
from bridge.status import Board, Memory
from bridge.turns import Turns
from bridge.witness import Witness
from tests.scripted.clock import Clock
from tests.scripted.prometheus import ScriptedPrometheus

T = 1_795_000_020.0  # a full minute
INTERVAL = 60.0
KEY = "11111111-2222-3333-4444-555555555555"


@dataclass
class Bridge:
    """The spine between its two ends."""

    cycle: Cycle
    clock: Clock
    prometheus: ScriptedPrometheus
    sandbox: Sandbox
    delivery: Delivery
    instruments: Instruments
    witness: Witness
    backlog: Backlog
    stop: threading.Event
    file: Path

    def turns(self, **settings: Any) -> Turns:
        """The loop around it."""
        return Turns(self.cycle, self.instruments, SelectionFile(self.file), self.stop, self.clock, **settings)

    def run(self, grid_time: float = T) -> Report:
        """Run a cycle that falls due."""
        report = self.cycle.run(grid_time)
        assert report is not None
        assert report.read == sum(report.outcomes.values())
        return report

    def rows(self, name: str) -> list[dict[str, Any]]:
        """What arrived of a metric."""
        return [row for row in self.sandbox.rows() if row["name"] == name]

    def counted(self, outcome: Outcome) -> float | None:
        """The own metric ``triton_bridge_points_total``."""
        return self.own("points_total", outcome=outcome.value)

    def own(self, name: str, **labels: str) -> float | None:
        """One of the own metrics."""
        return self.instruments.registry.get_sample_value(f"triton_bridge_{name}", labels)


MakeBridge = Callable[..., Bridge]


@pytest.fixture
def make_bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeBridge]:
    """``make_bridge("m", {"metric": "c", "mode": "increase"}, interval=…)``; scraped every 15 s until T.

    Its account begins an interval before T, or at ``begun`` (None: with the first turn); it is kept in ``folder``, else in memory.
    """
    with ExitStack() as closing:

        def make(
            *metrics: object,
            now: float = T,
            scraped: bool = True,
            begun: float | None = T - INTERVAL,
            folder: Path | None = None,
            **terms: Any,
        ) -> Bridge:
            clock, stop = Clock(now), threading.Event()
            prometheus = closing.enter_context(ScriptedPrometheus(clock))
            sandbox = closing.enter_context(Sandbox(scriptable=True, now=clock))
            delivery = Delivery(sandbox.connection_string, clock=clock)
            closing.callback(delivery.close)
            source = Prometheus(prometheus.url)
            closing.callback(source.close)
            file = tmp_path_factory.mktemp("selection") / "metrics.json"
            file.write_text(json.dumps({"customMetrics": list(metrics)}))
            backlog, witness = Backlog(folder, clock=clock), Witness(folder)
            backlog.lock()
            closing.callback(backlog.close)
            instruments = Instruments()
            board = Board(clock, lambda: Memory(backlog.account, backlog.trouble))
            instruments.follow(board.snapshot, limit=0)  # until a loop has one of its own
            if scraped:
                prometheus.scrape([T - 45, T - 30, T - 15, T])
            cycle = Cycle(
                Terms(
                    **{
                        "interval": INTERVAL,
                        "settle_delay": 5.0,
                        "scrape_interval": 15.0,
                        "match": "",
                        "max_series": 20_000,
                        **terms,
                    },
                ),
                source,
                Encoder(sandbox.connection_string.partition("=")[2].partition(";")[0], context_tags(Resource({}))),
                delivery,
                instruments,
                witness,
                backlog,
                Patience(stop, clock=clock, monotonic=lambda: clock() - T, sleep=clock.sleep),
            )
            if begun:
                cycle.in_force(load(file), begun)
            return Bridge(cycle, clock, prometheus, sandbox, delivery, instruments, witness, backlog, stop, file)

        yield make
