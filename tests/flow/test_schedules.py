"""Whatever happens to the bridge, in whatever order: nothing is lost, nothing is there twice, and the account adds up."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flow.world import World

# By default the same ones each time; a number gives as many new ones.
EXAMPLES = os.environ.get("SCHEDULES", "")

INTERVALS = st.sampled_from([60.0, 60.0, 30.0, 120.0])
AWAY = st.integers(0, 3)
MOODS = st.sampled_from(
    [
        {},
        "away",
        {"status": 503},
        {"status": 402},
        {"status": 401},
        {"status": 429, "retry_after": 90},
        {"lost": True},
        {"reset": "after"},
        {"html": True},
    ]
)
REPLIES = st.sampled_from(
    [
        {"pass": True},
        {"status": 500},
        {"lost": True},
        {"reset": "after"},
        {"empty": True},
        {"status": 429, "retry_after": 7},
        {"status": 413, "body": "no"},
        {"items": {"0": {"status": 500}}},
        {"items": {"1": {"status": 400, "message": "bad"}}},
        {"items": {"0": {"status": 439}}},
    ]
)


def step(name: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *values)


STEPS = st.one_of(
    step("live", st.integers(1, 5)),
    step("live", st.integers(1, 5)),
    step("kill", st.integers(1, 120), AWAY, st.booleans(), INTERVALS),
    step("kill", st.integers(1, 120), AWAY, st.booleans(), INTERVALS),
    step("stop", st.sampled_from([0.0, 2.5, 22.5, 44.0]), AWAY, st.booleans(), INTERVALS),
    step("stop_asleep", AWAY, INTERVALS),
    step("azure", MOODS),
    step("azure", MOODS),
    step("replies", st.lists(REPLIES, min_size=1, max_size=6)),
    step("slow", st.sampled_from([3.0, 40.0])),
    step("prometheus", st.sampled_from(["well", "away", "stopped"])),
    step("questions", st.integers(1, 30), st.sampled_from([1, 3, 30])),
    step("triton"),
    step("select", st.integers(0, 2)),
    step("disk_is", st.sampled_from(["well", "full", "full", "read-only"])),
    step("suspend", st.sampled_from([3.0, 12.0, 25.0, 100.0])),
    step("clock", st.sampled_from([0.0, -90.0, -20.0, 5.0, 75.0])),
)


@pytest.fixture(scope="module", autouse=True)
def _small_and_quiet() -> Iterator[None]:
    """Three batches a cycle, journals that are renewed often, an account that keeps every row; no log.

    The heap of all tests is no bridge's, and not to be collected after each cycle.
    """
    logging.disable(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bridge.envelopes.MAX_POINTS", 2)
        patch.setattr("bridge.backlog.store._EVENTS_SIZE", 3000)
        for module in ("ledger", "statement"):
            patch.setattr(f"bridge.backlog.{module}.ROWS_KEPT", 10_000)
        patch.setattr("bridge.turns.collect_between_cycles", lambda: None)
        yield
    logging.disable(logging.NOTSET)


@settings(
    max_examples=int(EXAMPLES or 1000),
    derandomize=not EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.integers(0, 1_000), st.lists(STEPS, min_size=2, max_size=14))
def test_nothing_is_lost_and_nothing_is_there_twice(seed: int, steps: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder), seed)
        for name, *values in steps:
            getattr(world, name)(*values)
            world.live(1)

        world.end_well()

        world.verify()
