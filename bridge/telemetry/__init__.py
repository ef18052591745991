"""Takes Prometheus' answers for a grid time T, gives OpenTelemetry metrics, and says what it could not use.

Pure: the same answers give the same metrics. What leaves here is finite and stamped with T.

    Answers ──gains, pools──▶ rows of each entry ──groups──▶ rows ──dimensions──▶ Metric …
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple, cast

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

from bridge.points import Series
from bridge.selection import Aggregate, Entry, Mode, Selection
from bridge.telemetry import gains, pools
from bridge.telemetry.dimensions import dimensions
from bridge.telemetry.found import Found, by_name
from bridge.telemetry.gains import Counting, latest_before
from bridge.telemetry.nouns import Answers, Cut, Labels, Pool, Reading

__all__ = ["Answers", "Cut", "Found", "Pool", "Reading", "latest_before", "orphans", "scraped", "translate"]

Value = float | Pool


class _Rows(NamedTuple):
    """The rows of one published metric. ``counted``: they are gains, and add up over time."""

    counted: bool
    found: list[tuple[dict[str, str], Value]]


def scraped(up: Iterable[Series], cut: Cut) -> bool:
    """Whether Prometheus scraped anything in the interval; if not, its lookback would invent rows."""
    return any(cut.start < t <= cut.end for series in up for t, _ in series.samples)


def orphans(samples: Iterable[Series], selection: Selection, cut: Cut) -> list[Labels]:
    """The labels of counters that gained in the interval from nothing known: their history must be asked for."""
    counters = [entry for entry in selection.entries if entry.mode.gain]
    return [
        labels
        for name, found in by_name(samples).items()
        if any(entry.wants(name) for entry in counters)
        for labels in gains.unfounded(found, cut)
    ]


def translate(selection: Selection, answers: Answers, cut: Cut, *, max_series: int) -> Reading:
    """Make the points of one cycle. Above ``max_series`` the largest metrics are left out, whole."""
    known = Found(selection, answers, cut)
    rows: dict[str, _Rows] = {}
    absent, missing = [], []
    for entry in selection.entries:
        size = 0
        for metric in known.metrics(entry):
            for name, counted, found in _rows(entry, metric, known):
                if known.owners[name] is entry:
                    size += len(found)
                    rows.setdefault(name, _Rows(counted, [])).found.extend(
                        (dimensions(labels, entry), value) for labels, value in found
                    )
        if not size:
            absent.append(entry.name)
            if not known.all(entry):
                missing.append(entry.name)
    return replace(_reading(rows, cut, max_series), absent=tuple(absent), missing=tuple(missing))


def _rows(entry: Entry, metric: str, known: Found) -> Iterator[tuple[str, bool, list[tuple[Labels, Value]]]]:
    """The rows of a metric under each name that it is sent by, with the labels that Prometheus gave them, or kept ones.

    Beside the name: whether they are gains that add up over time.
    """
    name, counting = entry.published(metric), known.counting
    aggregate = entry.grouping.aggregate if entry.grouping else None
    if entry.mode is Mode.HISTOGRAM:
        family = [series for part in entry.parts(metric) for series in known.series(entry, part)]
        gained = [
            (labels, pools.pool(histogram))
            for labels, histogram in pools.grouped(pools.histograms(family, counting), entry.grouping, pools.merged)
        ]
        yield name, True, list(gained)
        for of_quantile, quantile in entry.quantile_names(name).items():
            yield of_quantile, False, [(labels, pools.quantile(quantile, pool)) for labels, pool in gained]
    elif entry.mode is Mode.STATS:
        several = (
            (series.labels, pool)
            for series in known.series(entry, metric)
            if (pool := pools.statistics(series.samples, known.cut)) is not None
        )
        yield name, False, pools.grouped(several, entry.grouping, pools.pooled)
    else:
        numbers = (
            (series.labels, value)
            for series in known.series(entry, metric)
            if (value := _number(entry.mode, series, counting)) is not None
        )
        merge = partial(pools.aggregated, aggregate=aggregate or Aggregate.SUM)
        counted = entry.mode is Mode.INCREASE and aggregate in {None, Aggregate.SUM}
        yield name, counted, list(pools.grouped(numbers, entry.grouping, merge))


def _number(mode: Mode, series: Series, counting: Counting) -> float | None:
    """The value of a series in a mode that gives one number; None where its samples give none."""
    if mode is Mode.VALUE:
        return float(series.samples[-1][1])
    if mode is Mode.IRATE:
        return gains.instant_rate(series.samples, counting.up(series.labels), counting.cut)
    gain = counting.gain(series)
    if gain is None or mode is Mode.INCREASE:
        return gain and gain.value
    return gain.value / gain.seconds if gain.seconds > 0 else None


def _reading(rows: Mapping[str, _Rows], cut: Cut, max_series: int) -> Reading:
    left_out = _over_limit({name: len(one.found) for name, one in rows.items()}, max_series)
    not_finite: Counter[str] = Counter()
    metrics = []
    for name, (counted, found) in rows.items():
        if name in left_out:
            continue
        finite = [row for row in found if math.isfinite(row[1].total if isinstance(row[1], Pool) else row[1])]
        if len(finite) < len(found):
            not_finite[name] = len(found) - len(finite)
        if finite:
            metrics.append(Metric(name, None, None, _data(finite, cut, counted=counted)))
    read = sum(len(one.found) for one in rows.values())
    return Reading(tuple(metrics), read, dict(not_finite), left_out)


def _data(rows: Sequence[tuple[dict[str, str], Value]], cut: Cut, *, counted: bool) -> Gauge | Sum | Histogram:
    time, start = _nanoseconds(cut.end), _nanoseconds(cut.start)
    points: list[NumberDataPoint] = []
    aggregates: list[HistogramDataPoint] = []
    for labels, value in rows:
        if isinstance(value, Pool):
            aggregates.append(_aggregate(labels, start, time, value))
        else:
            points.append(NumberDataPoint(labels, start, time, value, ()))
    if aggregates:
        return Histogram(aggregates, AggregationTemporality.DELTA)
    return Sum(points, AggregationTemporality.DELTA, True) if counted else Gauge(points)


def _aggregate(labels: dict[str, str], start: int, time: int, pool: Pool) -> HistogramDataPoint:
    """OpenTelemetry has one point for aggregates; that of statistics has a single open bucket."""
    counts = pool.counts or (pool.count,)
    # Its least and greatest value may be missing (OpenTelemetry's data model); the SDK's annotations do not say so.
    least, greatest = cast("float", pool.low), cast("float", pool.high)
    return HistogramDataPoint(labels, start, time, pool.count, pool.total, counts, pool.bounds, least, greatest, ())


def _nanoseconds(seconds: float) -> int:
    # By way of milliseconds, which a float holds exactly; nanoseconds since the epoch it does not.
    return round(seconds * 1000) * 1_000_000


def _over_limit(sizes: Mapping[str, int], limit: int) -> dict[str, int]:
    """The largest metrics, until the rest fits; by name where they are equally large, so that T decides nothing."""
    left_out = {}
    total = sum(sizes.values())
    for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        if total <= limit:
            break
        left_out[name] = size
        total -= size
    return left_out
