"""Takes OpenTelemetry metrics, gives batches of ready JSON bytes.

One envelope a point. It equals, as JSON, what ``AzureMonitorMetricExporter`` (1.0.0b58) sends for the same metric,
plus ``"kind": "Aggregation"`` on aggregates; a test holds that. Not repeated here: what the exporter does with names
``http.*`` and ``azuremonitor.*`` (it maps or drops them), with attributes ``gen_ai.*`` (longer values pass) and
with ``user_agent.*`` (they mark synthetic traffic). No metric of Triton bears such names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

import orjson
from opentelemetry.sdk.metrics.export import HistogramDataPoint, Metric, NumberDataPoint

from bridge.points import Batch

MAX_POINTS = 5_000
"""Points a batch: the service takes 64,000, but a smaller loss is repaired with less."""
MAX_BYTES = 4_000_000
"""Bytes a batch before compression; the service documents no limit, gateways before it have theirs."""

# Limits of Application Insights' schema, in characters; the exporter cuts at the same places.
_MAX_NAME = 1_024
_MAX_KEY = 150
_MAX_VALUE = 8_192

_SEPARATOR = "\0"


class Encoder:
    """Writes envelopes. What does not change of a series is encoded once; ``kept`` series stay in memory.

    ``tags`` are those that every envelope bears (``delivery.context_tags``).
    """

    def __init__(self, instrumentation_key: str, tags: Mapping[str, str], *, kept: int = 50_000) -> None:
        envelope = {"name": "Microsoft.ApplicationInsights.Metric", "iKey": instrumentation_key, "tags": dict(tags)}
        # The same bytes at the front of every envelope, and numbers last: gzip then finds long repetitions.
        self._head = _json(envelope)[:-1] + b',"data":{"baseType":"MetricData","baseData":{"ver":2,"properties":'
        self._series = lru_cache(maxsize=kept)(_series)

    def batches(self, metrics: Iterable[Metric]) -> Iterator[Batch]:
        """All points, in order, packed; no batch above ``MAX_POINTS``, none above ``MAX_BYTES`` but by a lone point."""
        items: list[bytes] = []
        size = 0
        for item in self.items(metrics):
            if items and (len(items) == MAX_POINTS or size + len(item) > MAX_BYTES):
                yield Batch.pack(items)
                items, size = [], 0
            items.append(item)
            size += len(item) + 2  # what stands between two items
        if items:
            yield Batch.pack(items)

    def items(self, metrics: Iterable[Metric]) -> Iterator[bytes]:
        """One envelope a point, in order: a JSON object in ASCII, without raw newlines. Values must be finite."""
        time, tail = None, b""
        for metric in metrics:
            name = metric.name[:_MAX_NAME]
            for point in metric.data.data_points:
                if point.time_unix_nano != time:
                    time = point.time_unix_nano
                    tail = b'}]}},"time":%b}' % _json(_timestamp(time))
                attributes = point.attributes or {}
                if None in attributes.values():
                    attributes = {key: value for key, value in attributes.items() if value is not None}
                series = self._series(_key(name, *attributes, *map(str, attributes.values())))
                if isinstance(point, NumberDataPoint):
                    yield b"".join((self._head, series, b'"count":1,"value":', _number(point.value), tail))
                elif isinstance(point, HistogramDataPoint):
                    yield b"".join((self._head, series, _aggregate(point), tail))
                else:
                    raise TypeError(f"{metric.name}: no envelope for a {type(point).__name__}")


def _key(*parts: str) -> str | tuple[str, ...]:
    """What names a series: just what gets written of it, its metric's name, all keys, then all values.

    One string, so that the memory of a cycle's labels is not held by what is kept of them. Where a part holds the
    separator itself, the parts.
    """
    key = _SEPARATOR.join(parts)
    return key if key.count(_SEPARATOR) == len(parts) - 1 else parts


def _series(key: str | tuple[str, ...]) -> bytes:
    """From a series' properties to its metric's name."""
    name, *labels = key.split(_SEPARATOR) if isinstance(key, str) else key
    half = len(labels) // 2
    properties = {
        key: value[:_MAX_VALUE]
        for key, value in zip(labels[:half], labels[half:], strict=True)
        if key and len(key) <= _MAX_KEY
    }
    return b'%b,"metrics":[{"name":%b,' % (_json(properties), _json(name))


def _aggregate(point: HistogramDataPoint) -> bytes:
    numbers = {"count": point.count, "max": point.max, "min": point.min, "value": point.sum}
    present = {key: number for key, number in numbers.items() if number is not None}
    return _json({"kind": "Aggregation"} | present)[1:-1]


def _timestamp(nanoseconds: int) -> str:
    """ISO 8601 in UTC: microseconds, or none at all on a whole second, as the exporter writes it."""
    moment = datetime.fromtimestamp(nanoseconds / 1e9, tz=timezone.utc)
    return moment.isoformat().replace("+00:00", "Z")


def _number(value: float) -> bytes:
    try:
        return orjson.dumps(value)  # a tenth of the time of json.dumps
    except TypeError:  # integers above 64 bits, subclasses of float
        return _json(value)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
