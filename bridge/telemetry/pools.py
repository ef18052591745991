"""Takes many values, gives one aggregate of them: the samples of an interval, a histogram's gain, values that collapse."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, pairwise
from typing import NamedTuple, TypeVar

from bridge.points import Series
from bridge.selection import Aggregate, Grouping
from bridge.telemetry.gains import Counting, Gain, steps
from bridge.telemetry.nouns import Cut, Labels, Pool, Sample

T = TypeVar("T")
_MOST = 2**53  # beyond it a float, which is what Prometheus has, counts no longer


def grouped(
    rows: Iterable[tuple[Labels, T]], grouping: Grouping | None, merge: Callable[[Sequence[T]], T]
) -> list[tuple[Labels, T]]:
    """The rows with the labels that the grouping keeps; what has the same labels then is merged."""
    if grouping is None:
        return list(rows)
    groups: dict[tuple[tuple[str, str], ...], list[T]] = {}
    for labels, value in rows:
        kept = sorted((key, text) for key, text in labels.items() if grouping.keeps(key))
        groups.setdefault(tuple(kept), []).append(value)
    return [(dict(key), merge(values)) for key, values in groups.items()]


def aggregated(values: Sequence[float], aggregate: Aggregate) -> float:
    """As PromQL's operators: NaN makes a sum or an average NaN, and is no least or greatest value beside others."""
    if aggregate in {Aggregate.MIN, Aggregate.MAX}:
        known = [value for value in values if not math.isnan(value)]
        least = min if aggregate is Aggregate.MIN else max
        return least(known, default=math.nan)
    return _total(values) / (len(values) if aggregate is Aggregate.AVG else 1)


def _total(values: Sequence[float]) -> float:
    """The sum, whatever the order of the values: Prometheus' answers have none."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # of infinite values
        return sum(values)


def statistics(samples: Iterable[Sample], cut: Cut) -> Pool | float | None:
    """Count, sum, least and greatest of all scrapes in the interval; NaN where they hold nothing else, None without any."""
    found = [float(text) for time, text in samples if cut.start < time <= cut.end]
    values = [value for value in found if not math.isnan(value)]
    if not values:
        return math.nan if found else None
    return Pool(len(values), _total(values), min(values), max(values))


def pooled(pools: Sequence[Pool | float]) -> Pool | float:
    """Several statistics as those of all their values."""
    known = [pool for pool in pools if isinstance(pool, Pool)]
    if not known:
        return math.nan
    return Pool(
        sum(pool.count for pool in known),
        _total([pool.total for pool in known]),
        min(pool.low for pool in known if pool.low is not None),
        max(pool.high for pool in known if pool.high is not None),
    )


class Histogram(NamedTuple):
    """What a classic histogram gained: observations at most ``bound`` by bound (the last one infinite), and their sum."""

    buckets: Mapping[float, float]
    total: float


def histograms(family: Iterable[Series], counting: Counting) -> list[tuple[Labels, Histogram]]:
    """The gains of each histogram of a family (its ``_bucket``, ``_sum`` and ``_count`` series); only what gained.

    The series of one histogram are scraped together, so they begin anew together.
    """
    members: dict[tuple[tuple[str, str], ...], list[Series]] = {}
    for series in family:
        if _is_bucket(series) and not _bound(series) > -math.inf:
            continue  # another metric's name may end like a bucket's
        key = tuple(sorted((k, v) for k, v in series.labels.items() if k not in {"__name__", "le"}))
        members.setdefault(key, []).append(series)
    found = ((dict(key), _histogram(series, counting)) for key, series in members.items())
    return [(labels, gained) for labels, gained in found if gained and 0 < round(gained.buckets[math.inf]) <= _MOST]


def _is_bucket(series: Series) -> bool:
    return series.labels["__name__"].endswith("_bucket")


def _bound(bucket: Series) -> float:
    """The upper bound of a bucket; NaN where there is none."""
    try:
        return float(bucket.labels["le"])
    except (KeyError, ValueError):
        return math.nan


def _histogram(members: Sequence[Series], counting: Counting) -> Histogram | None:
    bounds = {id(one): _bound(one) for one in members if _is_bucket(one)}
    befores = {id(one): counting.before(one) for one in members}
    # A sum of values below zero may fall; what else falls began anew.
    falling = [one for one in members if id(one) in bounds or not one.labels["__name__"].endswith("_sum")]
    if min(bounds.values(), default=math.inf) > 0:
        falling = list(members)
    resets = set(chain.from_iterable(_resets(one.samples, befores[id(one)]) for one in falling))
    buckets: dict[float, float] = {}
    total, count = math.nan, math.nan
    for one in members:
        gain = steps(one.samples, counting.cut, befores[id(one)], resets=resets)
        if not isinstance(gain, Gain):
            continue
        if one.labels["__name__"].endswith("_sum"):
            total = gain.value
        elif not math.isfinite(gain.value):
            continue
        elif id(one) in bounds:  # le="1" ends where le="1.0" begins: an upgrade to Prometheus 3
            buckets[bounds[id(one)]] = buckets.get(bounds[id(one)], 0.0) + gain.value
        else:
            count = gain.value
    if not math.isnan(count):
        buckets[math.inf] = count
    return Histogram(buckets, total) if math.inf in buckets else None


def _resets(samples: Sequence[Sample], before: tuple[float, float] | None) -> list[float]:
    known = [(time, value) for time, text in samples if not math.isnan(value := float(text))]
    return [after[0] for one, after in pairwise([*([before] if before else []), *known]) if after[1] < one[1]]


def merged(several: Sequence[Histogram]) -> Histogram:
    """Several histograms as one, with the bounds that all of them have: what lies below those adds up exactly."""
    common = set.intersection(*(set(one.buckets) for one in several))
    return Histogram(
        {bound: _total([one.buckets[bound] for one in several]) for bound in common},
        _total([one.total for one in several]),
    )


def pool(histogram: Histogram) -> Pool:
    """A histogram's gain as an aggregate: least and greatest value as far as its buckets tell.

    A first bucket begins at zero, as PromQL's ``histogram_quantile`` has it, unless it ends below. An open bucket has
    no end: its greatest value is at least its begin, and at least the mean.
    """
    bounds, counts = _counts(histogram)
    count, edges = sum(counts), [*bounds, math.inf]
    first = next(i for i, n in enumerate(counts) if n)
    last = max(i for i, n in enumerate(counts) if n)
    mean = histogram.total / count
    if len(edges) == 1 or math.isnan(mean):
        low = high = None
    else:
        lower = edges[first - 1] if first else min(0.0, edges[0])
        upper = edges[last] if last < len(bounds) else edges[-2]
        low, high = min(lower, mean), max(upper, mean)
    return Pool(count, histogram.total, low, high, tuple(bounds), tuple(counts))


def _counts(histogram: Histogram) -> tuple[list[float], list[int]]:
    """The finite bounds, and how many observations lie in each bucket.

    The count of all stands; a bucket that was scraped before or after it (a torn histogram) gives way.
    """
    bounds = sorted(histogram.buckets)
    total = round(histogram.buckets[math.inf])
    counts, below = [], 0
    for bound in bounds:
        up_to = round(min(max(below, histogram.buckets[bound]), total))
        counts.append(up_to - below)
        below = up_to
    return bounds[:-1], counts


def quantile(wanted: float, pool: Pool) -> float:
    """The value below which that part of the observations lies, by PromQL's ``histogram_quantile``: linear in its bucket.

    In the open bucket it is the highest bound; NaN where there is no bound at all.
    """
    if not pool.bounds:
        return math.nan
    rank, below = wanted * pool.count, 0
    for number, (bound, count) in enumerate(zip(pool.bounds, pool.counts, strict=False)):
        if below + count >= rank and count:
            begin = pool.bounds[number - 1] if number else min(0.0, bound)
            return begin + (bound - begin) * (rank - below) / count
        below += count
    return pool.bounds[-1]
