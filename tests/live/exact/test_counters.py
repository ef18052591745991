"""Random counters: what the bridge sends of them is what their samples gained, and statistics are those of the samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.live.exact.machine import (
    BEGIN,
    BOUNDED,
    Ground,
    Labels,
    Life,
    Machine,
    Scrape,
    cycle,
    grid,
    scrapes,
    select,
    statistics,
    steps,
    values,
    write_down,
)

pytestmark = pytest.mark.live

RESET, HALVED, ABSENT, NOT_A_NUMBER, BURST = range(-1, -6, -1)
MODELS = [
    {"model": "a"},
    {
        "model": "a",
        "gpu_uuid": "GPU-1",
    },  # issue 7479: a model has two sets of series, and changes from one to the other
    {"model": "b"},
    {"model": "b", "gpu_uuid": "GPU-2"},
]


@st.composite
def counters(draw: st.DrawFn) -> Machine:
    """One or two targets with up to four counters each; a step a scrape, or what else befalls a counter."""
    machine = Machine([], [])
    for number in range(draw(st.integers(1, 2))):
        target = {"job": "triton", "instance": f"triton-{number}:8002"}
        known = draw(scrapes())
        machine.targets.append((target, known))
        up = [scrape.time for scrape in known if scrape.state == "up"]
        for model in MODELS[: draw(st.integers(1, len(MODELS)))]:
            life = Life({"__name__": "m", **target, **model}, up)
            actions = draw(st.lists(st.integers(-7, 30), min_size=len(known), max_size=len(known)))
            _count(life, known, actions, draw(st.sampled_from([0, 0, 1, 5])))
            machine.lives.append(life)
    return machine


def _count(life: Life, known: Sequence[Scrape], actions: Sequence[int], first: int) -> None:
    value = 100.0
    for number, (scrape, action) in enumerate(zip(known, actions, strict=True)):
        value += {RESET: -value, HALVED: -value // 2, BURST: 1000}.get(action, max(action, 0))
        if scrape.state in {"missed", "killed"} or number < first:
            continue
        if scrape.state == "down" or action == ABSENT:
            life.end(scrape.time)
        else:
            life.samples.append((scrape.time, math.nan if action == NOT_A_NUMBER else value))


def _gained(life: Life, start: float, end: float) -> float:
    return sum(gain for time, gain, _ in steps(life) if start < time <= end)


def _summed(lives: Sequence[Life], start: float, end: float, *kept: str) -> dict[Labels, float]:
    """The gains of each group that has a sample in the interval."""
    groups: dict[Labels, float] = {}
    for life in lives:
        if any(start < time <= end for time, _ in life.known):
            groups[life.name(*kept)] = groups.get(life.name(*kept), 0.0) + _gained(life, start, end)
    return groups


INTERVALS = st.sampled_from([30.0, 60.0, 90.0])


@settings(BOUNDED, max_examples=80)
@given(counters(), INTERVALS, st.tuples(st.integers(0, 300), st.integers(0, 300)))
def test_over_any_stretch_the_increases_add_up_to_what_the_samples_gained(
    ground: Ground, machine: Machine, interval: float, stretch: tuple[int, int]
) -> None:
    """Of each series, and of each group: what collapses into a group gained first."""
    selection = select(
        {"metric": "m", "mode": "increase", "name": "each"},
        {"metric": "m", "mode": "increase", "name": "by", "by": ["model"]},
        {"metric": "m", "mode": "increase", "name": "without", "without": ["gpu_uuid"]},
    )
    match = write_down(ground, machine)
    times = grid(machine, interval)
    first, last = sorted(number % (len(times) + 1) for number in stretch)
    start, end = BEGIN + first * interval, BEGIN + last * interval
    sums: dict[str, dict[Labels, float]] = {"each": {}, "by": {}, "without": {}}

    for time in times[first:last]:
        rows = cycle(ground, selection, match, interval, time)
        for name, total in sums.items():
            for labels, value in values(rows, name).items():
                total[labels] = total.get(labels, 0.0) + value

    assert {
        "each": _summed(machine.lives, start, end),
        "by": _summed(machine.lives, start, end, "model"),
        "without": _summed(machine.lives, start, end, "job", "instance", "model"),
    } == sums


@BOUNDED
@given(counters(), INTERVALS)
def test_a_rate_times_its_seconds_is_the_gain_and_statistics_are_those_of_the_samples(
    ground: Ground, machine: Machine, interval: float
) -> None:
    selection = select(
        {"metric": "m", "mode": "rate", "name": "rate"},
        {"metric": "m", "mode": "stats", "name": "stats"},
        {"metric": "m", "mode": "stats", "name": "pooled", "by": []},
    )
    match = write_down(ground, machine)

    for time in grid(machine, interval):
        start = time - interval
        rows = cycle(ground, selection, match, interval, time)
        counted = {
            life.name(): [step for step in steps(life) if start < step[0] <= time]
            for life in machine.lives
            if any(start < step[0] <= time for step in steps(life))
        }
        seconds = {name: found[-1][0] - found[0][2] for name, found in counted.items()}
        gains = {name: sum(gain for _, gain, _ in found) for name, found in counted.items() if seconds[name] > 0}
        rates = values(rows, "rate")
        assert {name: rates[name] * seconds[name] for name in rates} == pytest.approx(gains)

        samples = {life.name(): [v for t, v in life.known if start < t <= time] for life in machine.lives}
        samples = {name: found for name, found in samples.items() if found}
        assert statistics(rows, "stats") == {name: _own(found) for name, found in samples.items()}
        everything = [value for found in samples.values() for value in found]
        assert statistics(rows, "pooled") == ({frozenset(): _own(everything)} if everything else {})


def _own(found: Sequence[float]) -> tuple[float, ...]:
    return len(found), sum(found), min(found), max(found)
