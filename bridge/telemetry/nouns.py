"""Takes nothing, gives the nouns that the parts of the translation share: what came in, for when, and what goes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk.metrics.export import Histogram, Metric, NumberDataPoint, Sum

from bridge.points import Glance, Identity, Series

Labels = Mapping[str, str]
Sample = tuple[float, str]  # as in a Series


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

    ``samples`` are the raw ones, joined with what the bridge saw itself; ``scraped`` those without it, None where there
    was nothing to join. ``history`` holds the sample before the interval of series that asked for one (``latest_before``), ``up`` the samples
    of ``up``, of an hour more where history was asked for.
    """

    values: Sequence[Series] = ()
    fresh: frozenset[Identity] | None = None
    samples: Sequence[Series] = ()
    scraped: Sequence[Series] | None = None
    expressions: Mapping[str, Sequence[Series]] = field(default_factory=dict)  # by published name
    up: Sequence[Series] = ()
    history: Mapping[Identity, Sample] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """The points of a cycle: ``read`` = the data points of ``metrics`` + ``not_finite`` + ``left_out``.

    The two counters are by published name, as is ``series``, the number of points of each metric sent. ``absent`` names
    the entries without a row, ``missing`` those of them for which there is no series at all.
    """

    metrics: tuple[Metric, ...]
    read: int
    not_finite: Mapping[str, int]
    left_out: Mapping[str, int]
    absent: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def glances(self) -> dict[str, Glance]:
        """What a person sees first of each metric."""
        return {metric.name: _glance(metric) for metric in self.metrics}

    @property
    def series(self) -> dict[str, int]:
        """How many points each metric has."""
        return {metric.name: len(metric.data.data_points) for metric in self.metrics}


@dataclass(frozen=True)
class Pool:
    """Many values as one aggregate: ``low`` ≤ each of them ≤ ``high``, as far as is known; None: it is not.

    ``counts`` is how many lie in each bucket, the last one open; ``bounds`` are their upper bounds but the last's.
    """

    count: int
    total: float
    low: float | None
    high: float | None
    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()


def _glance(metric: Metric) -> Glance:
    points = metric.data.data_points
    dimensions = tuple(sorted(set().union(*(point.attributes or {} for point in points))))
    if isinstance(metric.data, Histogram):
        count = sum(point.count for point in metric.data.data_points)
        return Glance(len(points), dimensions, math.fsum(point.sum for point in metric.data.data_points) / count)
    total = math.fsum(point.value for point in points if isinstance(point, NumberDataPoint))
    return Glance(len(points), dimensions, total if isinstance(metric.data, Sum) else total / len(points))
