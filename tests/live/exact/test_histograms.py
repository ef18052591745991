"""Random classic histograms: what the bridge sends of them is what was observed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.live.exact.machine import (
    BOUNDED,
    HOUR,
    Ground,
    Labels,
    Life,
    Machine,
    Rows,
    Scrape,
    cycle,
    grid,
    scrapes,
    select,
    statistics,
    values,
    write_down,
)

pytestmark = pytest.mark.live

LAYOUTS: list[tuple[float, ...]] = [(1, 2.5, 5, 10), (0.5, 2.5, 10), (5,), (-2, 0, 2.5, 10), ()]
QUANTILES = {"p50": 0.5, "p90": 0.9, "p999": 0.999}


@dataclass
class Told:
    """A histogram: its layout, its series by the name and the bound they have, and what each scrape told of."""

    layout: tuple[float, ...]
    labels: dict[str, str]
    series: dict[tuple[str, str], Life]
    scrapes: list[tuple[float, list[float]]] = field(default_factory=list)
    resets: list[float] = field(default_factory=list)

    def name(self) -> Labels:
        return frozenset(self.labels.items())

    def observed(self, start: float, end: float) -> list[float]:
        return [value for time, values in self.scrapes if start < time <= end for value in values]


@st.composite
def histograms(draw: st.DrawFn) -> tuple[Machine, list[Told]]:
    """One target with one to three histograms: observations a scrape, resets, histograms that come and go."""
    target = {"job": "triton", "instance": "triton-0:8002"}
    known = draw(scrapes())
    up = [scrape.time for scrape in known if scrape.state == "up"]
    found = []
    for number in range(draw(st.integers(1, 3))):
        layout = draw(st.sampled_from(LAYOUTS))
        values = st.sampled_from(
            [-7.5, -2, -0.25, 0, 1] if min(layout, default=0) < 0 else [0, 0.25, 0.5]
        ) | st.sampled_from([1, 1.25, 2.5, 2.75, 5, 7.5, 10, 10.25, 40])
        lists = st.tuples(st.lists(values, max_size=5), st.sampled_from(["on"] * 8 + ["reset", "absent"]))
        labels = {**target, "model": f"m{number}"}
        told = Told(layout, labels, _parts(layout, labels, up))
        _observe(told, known, draw(st.lists(lists, min_size=len(known), max_size=len(known))))
        found.append(told)
    return Machine([(target, known)], [life for told in found for life in told.series.values()]), found


def _parts(layout: Sequence[float], labels: Mapping[str, str], up: list[float]) -> dict[tuple[str, str], Life]:
    bounds = [*map(str, layout), "+Inf"]
    return {
        **{("h_bucket", le): Life({"__name__": "h_bucket", **labels, "le": le}, up) for le in bounds},
        **{(name, ""): Life({"__name__": name, **labels}, up) for name in ("h_sum", "h_count")},
    }


def _exposed(told: Told, observed: Sequence[float]) -> dict[tuple[str, str], float]:
    """What a classic histogram shows of its observations."""
    buckets = {key: float(sum(value <= float(key[1]) for value in observed)) for key in told.series if key[1]}
    return {**buckets, ("h_sum", ""): float(sum(observed)), ("h_count", ""): float(len(observed))}


def _falls(told: Told, before: Mapping[tuple[str, str], float], after: Mapping[tuple[str, str], float]) -> bool:
    """Whether a value shows that it began anew; a sum of observations below zero may fall of itself."""
    tell = [key for key in before if key != ("h_sum", "") or min(told.layout, default=0) >= 0]
    return any(after[key] < before[key] for key in tell)


def _observe(told: Told, known: Sequence[Scrape], actions: Sequence[tuple[list[float], str]]) -> None:
    total: list[float] = []  # as last told
    since: list[float] = []  # and after that
    anew: list[float] | None = None  # and since it began anew
    shown: dict[tuple[str, str], float] = {}
    for scrape, (news, action) in zip(known, actions, strict=True):
        since = since + news
        if action == "reset":
            anew = news
        elif anew is not None:
            anew = anew + news
        if scrape.state in {"missed", "killed"}:
            continue
        if scrape.state == "down" or action == "absent":
            for life in told.series.values():
                life.end(scrape.time)
            continue
        # A beginning that no falling value shows is none, by the definition.
        reset = anew is not None and _falls(told, shown, _exposed(told, anew))
        total, gained = (anew or [], anew or []) if reset else (total + since, since)
        if not told.scrapes or scrape.time - told.scrapes[-1][0] >= HOUR:
            up = next(iter(told.series.values())).up
            gained = total if any(scrape.time - HOUR < one < scrape.time for one in up) else []
        shown = _exposed(told, total)
        for key, life in told.series.items():
            life.samples.append((scrape.time, shown[key]))
        told.scrapes.append((scrape.time, gained))
        told.resets += [scrape.time] if reset else []
        since, anew = [], None


def _aggregate(layout: Sequence[float], observed: Sequence[float]) -> tuple[float, ...]:
    """Count, sum, and the bounds of the buckets that hold the least and the greatest."""
    mean = sum(observed) / len(observed)
    if not layout:
        return len(observed), sum(observed), None, None
    below, above = _bucket(layout, min(observed))[0], _bucket(layout, max(observed))[1]
    low = min(layout[0], mean) if below == -math.inf else below
    high = max(layout[-1], mean) if above == math.inf else above
    return len(observed), sum(observed), low, high


def _bucket(layout: Sequence[float], value: float) -> tuple[float, float]:
    """The bounds (below, above] around a value. The first bucket begins at zero unless it ends there or below."""
    first = 0.0 if layout[0] > 0 else -math.inf
    edges = [first, *layout, math.inf]
    return next((below, above) for below, above in itertools.pairwise(edges) if value <= above)


def _place(layout: Sequence[float], observed: Sequence[float], quantile: float) -> tuple[float, float]:
    """Between which values the quantile may lie: its bucket; of one without an end, the end that it has."""
    below, above = _bucket(layout, sorted(observed)[max(math.ceil(quantile * len(observed)), 1) - 1])
    return (below if below > -math.inf else above, above if above < math.inf else below)


def test_a_histogram_tells_what_was_observed(ground: Ground) -> None:
    """Count and sum to the unit, bounds of all, quantiles in their bucket, and as PromQL has them where that can tell."""
    selection = select(
        {"metric": "h", "mode": "histogram", "name": "each", "quantiles": list(QUANTILES.values())},
        {"metric": "h", "mode": "histogram", "name": "pooled", "by": [], "quantiles": list(QUANTILES.values())},
    )
    compared = 0

    @BOUNDED
    @given(histograms())
    def each_cycle(drawn: tuple[Machine, list[Told]]) -> None:
        nonlocal compared
        machine, several = drawn
        match = write_down(ground, machine)
        for time in grid(machine, 60.0):
            rows = cycle(ground, selection, match, 60.0, time)
            observed = {told.name(): found for told in several if (found := told.observed(time - 60, time))}
            layouts = {told.name(): told.layout for told in several}
            common = set.intersection(*(set(layouts[name]) for name in observed)) if observed else set()
            if observed:
                everything = [value for found in observed.values() for value in found]
                _compare(rows, "pooled", {frozenset(): (tuple(sorted(common)), everything)})
            _compare(rows, "each", {name: (layouts[name], found) for name, found in observed.items()})
            plain = {t.name() for t in several if t.layout and not any(time - 60 < at <= time for at in t.resets)}
            for suffix, quantile in QUANTILES.items():
                theirs = _promql_quantile(ground, match, quantile, time) if plain & observed.keys() else {}
                both = plain & theirs.keys() & observed.keys()
                ours = values(rows, f"each_{suffix}")
                assert {name: ours[name] for name in both} == pytest.approx({name: theirs[name] for name in both})
                compared += len(both)

    each_cycle()
    assert compared > 100, "PromQL was hardly compared with"


def _compare(rows: Rows, name: str, expected: Mapping[Labels, tuple[tuple[float, ...], list[float]]]) -> None:
    assert statistics(rows, name) == {labels: _aggregate(*told) for labels, told in expected.items()}
    for suffix, quantile in QUANTILES.items():
        found = values(rows, f"{name}_{suffix}")
        bounded = {labels: told for labels, told in expected.items() if told[0]}
        assert found.keys() == bounded.keys()
        for labels, (layout, observed) in bounded.items():
            low, high = _place(layout, observed, quantile)
            assert low <= found[labels] <= high


def _promql_quantile(ground: Ground, match: str, quantile: float, time: float) -> dict[Labels, float]:
    """Of what the buckets gained between their values now and a minute ago; nothing where one of these is missing."""
    buckets = f"h_bucket{{{match}}}"
    found = ground.client.ask(f"histogram_quantile({quantile}, {buckets} - {buckets} offset 60s)", time)
    values = {frozenset((k, v) for k, v in one.labels.items() if k != "example"): one.samples[0][1] for one in found}
    return {labels: float(value) for labels, value in values.items() if value != "NaN"}
