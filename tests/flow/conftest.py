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

from bridge.cycle import Cycle, Patience, Terms
from bridge.delivery import Delivery, context_tags
from bridge.envelopes import Encoder
from bridge.instruments import Instruments
from bridge.points import Outcome, Report
from bridge.prometheus import Prometheus
from bridge.sandbox import Sandbox
from bridge.selection import parse
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
    stop: threading.Event

    def run(self, grid_time: float = T) -> Report:
        """Run a cycle that falls due."""
        report = self.cycle.run(grid_time)
        assert report is not None
        assert report.read == sum(report.outcomes.values())
        return report

    def rows(self, name: str) -> list[dict[str, Any]]:
        """What arrived of a metric."""
        return [row for row in self.sandbox.rows() if row["name"] == name]

    def counted(self, outcome: Outcome) -> float:
        """The own metric ``triton_bridge_points_total``."""
        return self.instruments.points.labels(outcome.value)._value.get()


MakeBridge = Callable[..., Bridge]


@pytest.fixture
def make_bridge() -> Iterator[MakeBridge]:
    """``make_bridge("m", {"metric": "c", "mode": "increase"}, interval=…)``; scraped every 15 s until T."""
    with ExitStack() as closing:

        def make(
            *metrics: object,
            now: float = T,
            scraped: bool = True,
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
            instruments, witness = Instruments("0"), Witness(folder)
            if scraped:
                prometheus.scrape([T - 45, T - 30, T - 15, T])
            cycle = Cycle(
                Terms(
                    **{
                        "selection": parse(json.dumps({"customMetrics": list(metrics)})),
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
                Patience(stop, clock=clock, monotonic=lambda: clock() - T, sleep=clock.sleep),
            )
            return Bridge(cycle, clock, prometheus, sandbox, delivery, instruments, witness, stop)

        yield make
