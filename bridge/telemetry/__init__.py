"""Takes Prometheus' answers for a grid time T, gives OpenTelemetry metrics, and says what it could not use.

Pure: the same answers give the same metrics. What leaves here is finite, stamped with T, and carries every label as
a dimension, ``instance`` and ``job`` too unless ``instance`` is loopback (they would say nothing, and a series'
identity must depend on itself alone).

A counter's gain in (T − interval, T] is the sum of its steps: each raw sample belongs to the interval by its own
timestamp and adds ``v − prev``, or ``v`` where ``v < prev`` (a reset). Nothing is extrapolated, so over any stretch
the gains add up to what the raw samples gained.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from opentelemetry.sdk.metrics.export import AggregationTemporality, Gauge, Metric, NumberDataPoint, Sum

from bridge.points import Identity, Series, identity
from bridge.selection import Entry, Mode, Selection

Labels = Mapping[str, str]
Sample = tuple[float, str]  # as in a Series

_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")


@dataclass(frozen=True)
class Cut:
    """The interval (start, end] whose points are made; epoch seconds, ``end`` is T.

    ``age_limit``: a sample older than this at T gives no instant rate.
    """

    start: float
    end: float
    age_limit: float


@dataclass(frozen=True)
class Answers:
    """What Prometheus said, by question. ``fresh`` is None where ``values`` needs no second look at its age.

    ``history`` holds the sample before the interval of series that asked for one (``latest_before``), ``up`` the samples
    of ``up``, of an hour more where history was asked for.
    """

    values: Sequence[Series] = ()
    fresh: frozenset[Identity] | None = None
    samples: Sequence[Series] = ()
    expressions: Mapping[str, Sequence[Series]] = field(default_factory=dict)  # by published name
    up: Sequence[Series] = ()
    history: Mapping[Identity, Sample] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """The points of a cycle: ``read`` = the data points of ``metrics`` + ``not_finite`` + ``left_out``.

    The two counters are by published name, as is ``series``, the number of points of each metric sent. ``absent`` names
    the metrics of which Prometheus had nothing.
    """

    metrics: tuple[Metric, ...]
    read: int
    absent: tuple[str, ...]
    not_finite: Mapping[str, int]
    left_out: Mapping[str, int]

    @property
    def series(self) -> dict[str, int]:
        """How many points each metric has."""
        return {metric.name: len(metric.data.data_points) for metric in self.metrics}


def scraped(up: Iterable[Series], cut: Cut) -> bool:
    """Whether Prometheus scraped anything in the interval; if not, its lookback would invent rows."""
    return any(cut.start < t <= cut.end for series in up for t, _ in series.samples)


def orphans(samples: Iterable[Series], selection: Selection, cut: Cut) -> list[Labels]:
    """The labels of counters that gained in the interval from nothing known: their history must be asked for."""
    counters = {entry.metric for entry in selection.entries if entry.mode in {Mode.INCREASE, Mode.RATE}}
    return [
        series.labels
        for series in samples
        # The first two are quickly said of nearly all.
        if (series.samples[0][0] > cut.start or series.samples[0][1] == "NaN")
        and series.labels["__name__"] in counters
        and isinstance(_steps(series.samples, cut), _Unfounded)
    ]


def latest_before(series: Series, cut: Cut) -> Sample | None:
    """The last sample of a counter at or before the interval; NaN is passed over."""
    return next((s for s in reversed(series.samples) if s[0] <= cut.start and s[1] != "NaN"), None)


def translate(selection: Selection, answers: Answers, cut: Cut, *, max_series: int) -> Reading:
    """Make the points of one cycle. Above ``max_series`` the largest metrics are left out, whole."""
    values, samples = _by_name(answers.values), _by_name(answers.samples)
    fresh = answers.fresh
    targets: dict[tuple[str, str], list[Sample]] = {}
    for series in answers.up:  # what a target exposes under two paths has two of them
        targets.setdefault(_target(series.labels), []).extend(series.samples)
    for samples_of_up in targets.values():
        samples_of_up.sort()

    rows: dict[Entry, list[tuple[Labels, float]]] = {}
    for entry in selection.entries:
        if entry.query:
            found = answers.expressions.get(entry.name, ())
            rows[entry] = [(series.labels, float(series.samples[-1][1])) for series in found]
        elif entry.mode is Mode.VALUE:
            rows[entry] = [
                (series.labels, float(series.samples[-1][1]))
                for series in values.get(entry.metric or "", ())
                if fresh is None or identity(series.labels) in fresh
            ]
        else:
            rows[entry] = [
                (series.labels, value)
                for series in samples.get(entry.metric or "", ())
                if (value := _computed(entry.mode, series, answers.history, targets, cut)) is not None
            ]
    return _reading(rows, cut, max_series)


def _by_name(answer: Iterable[Series]) -> dict[str, list[Series]]:
    grouped: dict[str, list[Series]] = {}
    for series in answer:
        grouped.setdefault(series.labels["__name__"], []).append(series)
    return grouped


def _reading(rows: Mapping[Entry, list[tuple[Labels, float]]], cut: Cut, max_series: int) -> Reading:
    left_out = _over_limit({entry.name: len(found) for entry, found in rows.items()}, max_series)
    not_finite: Counter[str] = Counter()
    metrics = []
    time, start = _nanoseconds(cut.end), _nanoseconds(cut.start)
    for entry, found in rows.items():
        if entry.name in left_out:
            continue
        points = []
        for labels, value in found:
            if math.isfinite(value):
                points.append(NumberDataPoint(_dimensions(labels), start, time, value, ()))
            else:
                not_finite[entry.name] += 1
        if points:
            data = Sum(points, AggregationTemporality.DELTA, True) if entry.mode is Mode.INCREASE else Gauge(points)
            metrics.append(Metric(entry.name, None, None, data))
    absent = tuple(entry.name for entry, found in rows.items() if not found)
    return Reading(tuple(metrics), sum(map(len, rows.values())), absent, dict(not_finite), left_out)


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


def _dimensions(labels: Labels) -> dict[str, str]:
    dimensions = dict(labels)
    dimensions.pop("__name__", None)
    if _LOOPBACK.fullmatch(dimensions.get("instance", "")):
        del dimensions["instance"]
        dimensions.pop("job", None)
    return dimensions


def _target(labels: Labels) -> tuple[str, str]:
    return labels.get("job", ""), labels.get("instance", "")


class _Gain(NamedTuple):
    """What a counter gained, and in how many seconds: from the sample before the first step to the last one."""

    value: float
    seconds: float


class _Unfounded(NamedTuple):
    """A counter whose first known sample, at ``time``, lies in the interval."""

    time: float
    value: float


def _computed(
    mode: Mode,
    series: Series,
    history: Mapping[Identity, Sample],
    targets: Mapping[tuple[str, str], Sequence[Sample]],
    cut: Cut,
) -> float | None:
    """The value of a mode that is computed from raw samples; None where they give none."""
    if mode is Mode.IRATE:
        return _instant_rate(series.samples, targets.get(_target(series.labels), ()), cut)
    gain = _steps(series.samples, cut)
    if isinstance(gain, _Unfounded):
        before = history.get(identity(series.labels))
        begins = (before[0], float(before[1])) if before else _beginning(gain, targets.get(_target(series.labels), ()))
        gain = _steps(series.samples, cut, begins)
    if gain is None or isinstance(gain, _Unfounded):
        return None
    if mode is Mode.INCREASE:
        return gain.value
    return gain.value / gain.seconds if gain.seconds > 0 else None


def _steps(samples: Sequence[Sample], cut: Cut, before: tuple[float, float] | None = None) -> _Gain | _Unfounded | None:
    """The sum of the steps in the interval; None without a sample there. NaN is passed over.

    ``before`` is where to begin if the samples hold none at or before the interval.
    """
    start, end = cut.start, cut.end
    gained: float | None = None
    since = last_time = last = math.nan
    if before is not None:
        since, last = before
    for time, text in samples:
        value = float(text)
        if value != value or time > end:  # noqa: PLR0124 — NaN, without the cost of a call
            continue
        if time > start:
            if last != last:  # noqa: PLR0124
                return _Unfounded(time, value)
            gained = (gained or 0.0) + (value - last if value >= last else value)
            last_time = time
        else:
            since = time
        last = value
    return None if gained is None else _Gain(gained, last_time - since)


def _beginning(first: _Unfounded, up: Sequence[Sample]) -> tuple[float, float]:
    """Where a new series' count begins: time and value.

    At zero if the target was scraped before without it; a target that was not may have counted for days, and its
    first sample is only the base line.
    """
    seen = [time for time, value in up if float(value) == 1 and time < first.time]
    return (max(seen), 0.0) if seen else (first.time, first.value)


def _instant_rate(samples: Sequence[Sample], up: Sequence[Sample], cut: Cut) -> float | None:
    """The step between the last two samples, per second, as PromQL's irate; None once the target is down."""
    known = [(time, value) for time, text in samples if time <= cut.end and not math.isnan(value := float(text))][-2:]
    down = [float(value) for time, value in up if time <= cut.end][-1:] == [0.0]
    if len(known) < 2 or down or known[1][0] <= cut.end - cut.age_limit:
        return None
    (earlier, first), (later, last) = known
    return (last - first if last >= first else last) / (later - earlier)
