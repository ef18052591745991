"""Envelopes are what Azure's own exporter would send, and are packed within bounds."""

import functools
import json
import os
from unittest import mock

import pytest
from azure.core.pipeline.transport import HttpTransport
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from bridge.envelopes import MAX_BYTES, MAX_POINTS, Encoder

KEY = "12345678-1234-1234-1234-123456789abc"
RESOURCE = Resource({"service.name": "triton"})
T = 1_790_000_000_000_000_000
DELTA = AggregationTemporality.DELTA


class Captured(BaseException):  # the exporter swallows every Exception
    """The body of a request that was about to be sent."""


class CapturingTransport(HttpTransport):
    def send(self, request, **kwargs):
        raise Captured(request.content)

    def open(self): ...

    def close(self): ...

    def __exit__(self, *details): ...


@functools.cache
def exporter():
    off = {
        f"APPLICATIONINSIGHTS_{name}": "true"
        for name in ("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED")
    }
    with mock.patch.dict(os.environ, off):
        from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter

        return AzureMonitorMetricExporter(
            connection_string=f"InstrumentationKey={KEY}",
            transport=CapturingTransport(),
            disable_offline_storage=True,
            max_envelopes_per_second=0,
        )


def exported(metrics):
    """The envelopes that the exporter sends for these metrics."""
    scoped = ScopeMetrics(InstrumentationScope("any"), metrics, "")
    with pytest.raises(Captured) as captured:
        exporter().export(MetricsData([ResourceMetrics(RESOURCE, [scoped], "")]))
    return json.loads(captured.value.args[0])


@functools.cache
def tags():
    return exported([gauge("any", 1.0)])[0]["tags"]


def encoder(**options):
    return Encoder(KEY, tags(), **options)


def gauge(name, *values, time=T, attributes=None):
    return Metric(name, None, None, Gauge([NumberDataPoint(attributes or {}, time, time, value) for value in values]))


def histogram(*points):
    return Metric("latency", None, None, Histogram(list(points), DELTA))


def canonical(envelope):
    """JSON text that tells 1 from 1.0 and true, and -0.0 from 0.0; without the one field that we add."""
    envelope["data"]["baseData"]["metrics"][0].pop("kind", None)
    return json.dumps(envelope, sort_keys=True)


texts = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["a" * 151, "b" * 9_000, "é" * 1_100, 'q"\\\n\x00\ud800']
)
# Values that equal one another and are not written alike, so that no series may stand for another.
lookalikes = st.sampled_from([1, True, 1.0, "1", "True", "1.0", 0.0, -0.0, False, 0, "", None, "None", (1,), (True,)])
attributes = st.dictionaries(texts, texts | lookalikes | st.floats() | st.lists(st.integers(), max_size=2), max_size=4)
finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = finite | st.integers() | st.sampled_from([-0.0, 5e-324, 1.7976931348623157e308, 1e22, 2**53 + 1, 10**400])
times = st.integers(0, 4_000_000_000).map(lambda s: s * 10**9) | st.integers(0, 4 * 10**18)
number_points = st.lists(st.builds(NumberDataPoint, attributes, times, times, numbers), min_size=1, max_size=4)
histogram_points = st.lists(
    st.builds(
        HistogramDataPoint,
        attributes,
        times,
        times,
        st.integers(0, 2**40),
        finite,
        st.none(),
        st.none(),
        finite,
        finite,
    ),
    min_size=1,
    max_size=2,
)
data = (
    number_points.map(Gauge)
    | number_points.map(lambda points: Sum(points, DELTA, is_monotonic=True))
    | histogram_points.map(lambda points: Histogram(points, DELTA))
)
metrics = st.lists(st.builds(Metric, texts, st.none(), st.none(), data), min_size=1, max_size=3)


@settings(deadline=None, max_examples=300)
@given(metrics)
@example([gauge("m", 1.0, attributes={"a": value}) for value in (1, True, "1", 1.0, 0.0, -0.0, None, "None")])
def test_every_envelope_equals_the_exporters_own(metrics):
    encoded = [canonical(json.loads(item)) for item in encoder().items(metrics)]

    assert encoded == [canonical(envelope) for envelope in exported(metrics)]


@given(metrics)
@settings(deadline=None)
def test_a_kept_series_is_written_like_a_new_one(metrics):
    """Neither keeping a series nor having dropped it from memory changes a byte."""
    forgetful, mindful = encoder(kept=1), encoder()
    first = list(mindful.items(metrics))

    assert first == list(mindful.items(metrics)) == list(forgetful.items(metrics))


def test_no_more_series_are_kept_than_allowed():
    many = encoder(kept=3)
    metrics = [gauge(f"m{number}", 1.0) for number in range(10)]
    list(many.items(metrics))

    assert many._series.cache_info().currsize == 3


def test_a_histogram_is_marked_as_an_aggregation():
    point = HistogramDataPoint({}, T, T, 4, 10.0, [], [], 1.0, 5.0)
    (item,) = encoder().items([histogram(point)])
    expected = {"name": "latency", "kind": "Aggregation", "count": 4, "max": 5.0, "min": 1.0, "value": 10.0}

    assert expected == json.loads(item)["data"]["baseData"]["metrics"][0]


def test_a_histogram_without_extremes_names_none():
    point = HistogramDataPoint({}, T, T, 4, 10.0, [], [], None, None)
    (item,) = encoder().items([histogram(point)])
    expected = {"name": "latency", "kind": "Aggregation", "count": 4, "value": 10.0}

    assert expected == json.loads(item)["data"]["baseData"]["metrics"][0]


def test_a_single_number_is_no_aggregation():
    (item,) = encoder().items([gauge("m", 2.5)])

    assert json.loads(item)["data"]["baseData"]["metrics"][0] == {"name": "m", "count": 1, "value": 2.5}


def test_an_exponential_histogram_is_refused_by_name():
    """The exporter would silently send it as zero."""
    point = ExponentialHistogramDataPoint({}, T, T, 0, 0.0, 0, 0, None, None, 0, 0.0, 0.0)
    metric = Metric("spread", None, None, ExponentialHistogram([point], DELTA))

    with pytest.raises(TypeError, match="spread: no envelope for a ExponentialHistogramDataPoint"):
        list(encoder().items([metric]))


def test_no_item_holds_a_raw_newline_or_a_byte_beyond_ascii():
    (item,) = encoder().items([gauge("é\n\u2028", 1.0, attributes={"ключ\r\n": "\ud800\x7f"})])

    assert item.isascii()
    assert b"\n" not in item


def test_batches_hold_all_items_in_order_and_at_most_5000_each():
    metrics = [gauge("m", *map(float, range(2 * MAX_POINTS + 1)))]
    batches = list(encoder().batches(metrics))

    assert [batch.points for batch in batches] == [MAX_POINTS, MAX_POINTS, 1]
    assert list(encoder().items(metrics)) == [item for batch in batches for item in batch.items()]


def test_batches_stay_below_4_mb_before_compression():
    large = {f"label{number}": str(number) * 8_192 for number in range(8)}
    batches = list(encoder().batches([gauge("m", *[1.0] * 200, attributes=large)]))

    assert sum(batch.points for batch in batches) == 200
    assert all(batch.size <= MAX_BYTES for batch in batches)
    assert len(batches) == 4


def test_a_point_larger_than_a_batch_goes_alone():
    vast = {f"label{number}": "x" * 8_192 for number in range(500)}
    metrics = [gauge("m", 1.0), gauge("vast", 1.0, attributes=vast), gauge("n", 1.0)]

    assert [batch.points for batch in encoder().batches(metrics)] == [1, 1, 1]


def test_nothing_to_send_gives_no_batch():
    assert list(encoder().batches([])) == []
    assert list(encoder().batches([gauge("m")])) == []


def test_the_same_points_give_the_same_bytes():
    metrics = [gauge("m", 1.0, 2.0, attributes={"a": "b"})]

    assert list(encoder().batches(metrics)) == list(encoder().batches(metrics))


def test_ten_thousand_points_of_a_regular_model_repository_take_40_bytes_each_on_the_wire():
    def series(number):
        return {
            "model": f"model_{number % 50}",
            "version": "1",
            "gpu": f"GPU-{number:08x}",
            "instance": "10.0.0.7:8002",
        }

    metrics = [
        gauge(f"nv_metric_{name}", (name * 7919 + number) / 7, attributes=series(number))
        for name in range(100)
        for number in range(100)
    ]
    batches = list(encoder().batches(metrics))

    assert sum(len(batch.body) for batch in batches) / 10_000 <= 40
