"""Takes a bridge, gives minutes that pass in some way: into each of its states, and out of them again.

The sandbox's script, Prometheus' answers and files bring them about; nothing of the bridge is replaced.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.states import State
from bridge.status import About
from bridge.web import Web
from tests.flow.conftest import INTERVAL, Bridge, MakeBridge, T
from tests.flow.views import Log

ABOUT = About("1.2.3", 'triton "west"', "node-7", INTERVAL, "/etc/bridge/metrics.json", {"Python": "3"})
HOURS = 10
MODELS = ("bert", "resnet")
TOO_NEW = "104: Field 'time' on type 'Envelope' is more recent than the allowed max date."
ALWAYS = 1_000_000


class World:
    """A bridge with its web server; each method lets the next minute pass in some way, its cycle at the end."""

    def __init__(self, bridge: Bridge, log: Log) -> None:
        self.bridge, self.log = bridge, log
        times = [T - 60 + 15 * n for n in range(1, HOURS * 240)]
        bridge.prometheus.scrape(times)
        for model in MODELS:
            bridge.prometheus.add("m", [(time, time % 1000) for time in times], model=model)
            bridge.prometheus.add("c", [(time, time - T + 60) for time in times], model=model)
        self.turns = bridge.turns(about=ABOUT)
        self.web = Web("127.0.0.1", 0, board=self.turns.board, registry=bridge.instruments.registry)

    def well(self, *script: dict[str, Any]) -> None:
        """Prometheus answers; the service replies so, and then as usual."""
        self.bridge.sandbox.script(list(script))
        self._turn()

    def always(self, *script: dict[str, Any]) -> None:
        """The service replies so, the last of them as long as the turn lasts."""
        *first, last = script
        self.well(*first, {**last, "times": ALWAYS})
        self.bridge.sandbox.script([])

    def late(self) -> None:
        """The newest cycle gets through, and nothing of what waits."""
        self.always({"status": 503})
        self.always({}, {"status": 503})

    def rejected_later(self) -> None:
        """A cycle waits, and in its repair a point is refused for good."""
        self.always({"status": 503})
        self.well({}, {"items": {"0": {"status": 400, "message": "too late"}}})

    def hour(self) -> None:
        """The machine sleeps; Prometheus does not."""
        self.bridge.clock.now += 3600
        self.well()

    def without(self, *names: str) -> None:
        """Nothing of these is scraped."""
        start = self.bridge.clock() // INTERVAL * INTERVAL
        for labels, samples in self.bridge.prometheus.series:
            if labels["__name__"] in names:
                samples[:] = [one for one in samples if not start < one[0] <= start + INTERVAL]
        self.well()

    def away(self) -> None:
        """Prometheus does not answer."""
        refused = 503, b'{"status": "error", "errorType": "unavailable", "error": "shutting down"}'
        self.bridge.prometheus.failures = [refused] * 10_000
        self.well()
        self.bridge.prometheus.failures = []

    def fault(self) -> None:
        """The bridge itself fails."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.bridge.cycle, "run", lambda _: 1 / 0)
            self.well()

    def unreadable(self) -> None:
        """Another version of the bridge was at work until now, and its selection is none that this one knows."""
        text = json.dumps({"customMetrics": [{"metric": "m", "mode": "of a later version"}]})
        self.bridge.backlog.in_force(self.bridge.clock(), INTERVAL, "of-a-later-version", text)
        self.well()

    def select(self, text: str) -> None:
        """metrics.json is changed."""
        self.bridge.file.write_text(text)
        self.well()

    def _turn(self) -> None:
        clock = self.bridge.clock
        clock.now = (clock() // INTERVAL + 1) * INTERVAL + 6
        self.turns.turn()


SELECTION = json.dumps({"customMetrics": ["m", {"metric": "c", "mode": "increase"}]})

# What brings about a state, in a bridge that is well. (It is starting until its first turn.)
CAUSES: dict[State, Callable[[World], object]] = {
    State.DELIVERING: World.well,
    State.CATCHING_UP: World.late,
    State.NOTHING_TO_SEND: lambda world: world.without("m", "c"),
    State.NO_DATA: lambda world: world.without("m", "c", "up"),
    State.PROMETHEUS_UNREACHABLE: World.away,
    State.UNREACHABLE: lambda world: world.always({"reset": "before"}),
    State.THROTTLED: lambda world: world.always({"status": 429, "retry_after": 130}),
    State.QUOTA: lambda world: world.always({"status": 439}),
    State.MISCONFIGURED: lambda world: world.always({"status": 401}),
    State.CLOCK: lambda world: world.always({"items": {"0": {"status": 400, "message": TOO_NEW}}}),
    State.REJECTED: lambda world: world.well({"status": 400}),
    State.REFUSED: lambda world: world.always({"status": 400, "body": "no"}),
    State.INTERCEPTED: lambda world: world.always({"html": True}),
    State.SELECTION_UNREADABLE: World.unreadable,
    State.FAULT: World.fault,
}
OTHERS: dict[str, Callable[[World], object]] = {
    "one point rejected": lambda world: world.well({"items": {"1": {"status": 400, "message": "too <long>"}}}),
    "one point left over": lambda world: world.well({"items": {"1": {"status": 500}}}, {"status": 429}),
    "one point rejected in a repair": World.rejected_later,
    "an hour without a cycle": World.hour,
    "an empty reply": lambda world: world.well({"empty": True}),
    "a cycle without one of its metrics": lambda world: world.without("c"),
    "metrics.json broken": lambda world: world.select("{"),
    "metrics.json changed": lambda world: world.select('{"customMetrics": ["m"]}'),
    "metrics.json as it was": lambda world: world.select(SELECTION),
}
MOVES = {**{state.value: cause for state, cause in CAUSES.items()}, **OTHERS}


@contextmanager
def worlds(make_bridge: MakeBridge, folder: Path) -> Iterator[World]:
    """One that has not had a turn yet, and its end."""
    log, loggers = Log(), logging.getLogger("bridge")
    before = loggers.level
    with ExitStack() as closing:
        # The heap of all tests is no bridge's, and not to be collected after each cycle.
        closing.enter_context(pytest.MonkeyPatch.context()).setattr("bridge.turns.collect_between_cycles", lambda: None)
        loggers.setLevel(logging.INFO)
        loggers.addHandler(log)
        closing.callback(loggers.setLevel, before)
        closing.callback(loggers.removeHandler, log)
        metrics = json.loads(SELECTION)["customMetrics"]
        world = World(make_bridge(*metrics, now=T - 30, scraped=False, folder=folder), log)
        closing.callback(world.web.close)
        yield world
