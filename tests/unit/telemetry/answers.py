"""Takes samples, gives what Prometheus would answer of them, and what the translation makes of that."""

from __future__ import annotations

import json
from collections.abc import Sequence

from opentelemetry.sdk.metrics.export import HistogramDataPoint

from bridge.points import Series, identity
from bridge.selection import Selection, parse
from bridge.telemetry import Answers, Cut, Reading, latest_before, translate

T = 1_700_000_040.0
INTERVAL = 60.0
LOOKBACK = 30.0
CUT = Cut(T - INTERVAL, T, INTERVAL)
UP = Series({"__name__": "up", "job": "triton", "instance": "t:8002"}, [(T - 50, "1"), (T - 5, "1")])
LIMIT = 1000


def select(*metrics: object, **top: object) -> Selection:
    return parse(json.dumps({"customMetrics": metrics, **top}))


def written(value: float) -> str:
    """A value as Prometheus writes it."""
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(repr(value), repr(value))


def series(name: str, *samples: tuple[float, float], **labels: str) -> Series:
    """A series of the target ``t:8002``; the times are seconds before (negative) or after T."""
    target = {"__name__": name, "job": "triton", "instance": "t:8002"}
    return Series({**target, **labels}, [(T + t, written(v)) for t, v in samples])


def histogram(
    name: str, buckets: dict[str, tuple[float, float]], total: tuple[float, float] = (0, 0), **labels: str
) -> list[Series]:
    """A histogram of two scrapes, 65 s and 5 s before T: by bound how many were at most that, and the sum.

    Its count is that of the last bucket.
    """
    count = list(buckets.values())[-1]
    told = {**{("_bucket", le): found for le, found in buckets.items()}, ("_sum", ""): total, ("_count", ""): count}
    return [
        series(name + part, (-65, before), (-5, after), **labels, **({"le": le} if le else {}))
        for (part, le), (before, after) in told.items()
    ]


def values(reading: Reading) -> dict[str, list[float]]:
    return {metric.name: [point.value for point in metric.data.data_points] for metric in reading.metrics}


Row = tuple[dict[str, str], object]


def rows(reading: Reading) -> dict[str, list[Row]]:
    """By name, dimensions and value of each row, in the order of the dimensions; of aggregates count, sum, min, max."""
    return {
        metric.name: sorted(
            (
                (
                    dict(point.attributes or {}),
                    (point.count, point.sum, point.min, point.max)
                    if isinstance(point, HistogramDataPoint)
                    else point.value,
                )
                for point in metric.data.data_points
            ),
            key=lambda row: sorted(row[0].items()),
        )
        for metric in reading.metrics
    }


def translated(selection: Selection, found: Sequence[Series], *, limit: int = LIMIT, **more: object) -> Reading:
    """The same series answer both questions, for their values and for their samples."""
    return translate(selection, Answers(values=found, samples=found, **more), CUT, max_series=limit)


def computed(mode: str, *samples: tuple[float, float], up: Sequence[tuple[float, float]] = ()) -> list[float]:
    """The rows of one series in a mode that is computed from raw samples; ``up`` as times before T and values."""
    found = series("m", *samples)
    before = latest_before(found, CUT)
    answers = Answers(
        samples=[series("m", *(sample for sample in samples if sample[0] > -INTERVAL - LOOKBACK - 1))],
        up=[series("up", *up)],
        history={identity(found.labels): before} if before else {},
    )
    reading = translate(select({"metric": "m", "mode": mode}), answers, CUT, max_series=100)
    return values(reading).get("m", [])
