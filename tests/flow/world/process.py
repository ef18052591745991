"""Takes a backlog, the time and both ends, gives the turns of a bridge between them, as the daemon builds it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest
from opentelemetry.sdk.resources import Resource

from bridge.backlog import Backlog
from bridge.cycle import Cycle, Patience, Terms
from bridge.delivery import Delivery, context_tags
from bridge.envelopes import Encoder
from bridge.instruments import Instruments
from bridge.selection import Selection, SelectionFile
from bridge.turns import Turns
from bridge.witness import Witness
from tests.flow.world.metrics import SCRAPE, Metrics
from tests.flow.world.service import Service, Sink
from tests.unit.backlog.disk import Killed

LIMIT = 5400.0  # s, how far back something may wait
INSTANCE = "triton-0:8002"
KEY = "11111111-2222-3333-4444-555555555555"


class Watcher(Protocol):
    """Who is told what the bridge takes to be in force, and whether it was killed while it wrote that."""

    def in_force(self, selection: Selection, now: float) -> None: ...
    def forget(self, since: float) -> None: ...


class Watched(Cycle):
    """A Cycle that tells."""

    watcher: Watcher

    def in_force(self, selection: Selection, now: float) -> None:
        self.watcher.in_force(selection, now)
        try:
            super().in_force(selection, now)
        except Killed:
            self.watcher.forget(now)
            raise


def turns(
    interval: float,
    file: Path,
    metrics: Metrics,
    service: Service,
    witness: Witness,
    backlog: Backlog,
    patience: Patience,
    watcher: Watcher,
) -> Turns:
    """``file`` is the metrics.json."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bridge.delivery.Endpoint", lambda *_: service)
        delivery = Delivery(f"InstrumentationKey={KEY}", clock=patience.clock, monotonic=patience.monotonic)
    instruments = Instruments()
    cycle = Watched(
        Terms(interval, 5.0, SCRAPE, "", 20_000, INSTANCE),
        metrics,
        Encoder(KEY, context_tags(Resource({}))),
        Sink(delivery, service),
        instruments,
        witness,
        backlog,
        patience,
    )
    cycle.watcher = watcher
    return Turns(cycle, instruments, SelectionFile(file), patience.stop, patience.clock, limit=LIMIT)
