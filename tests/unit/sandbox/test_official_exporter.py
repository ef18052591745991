"""Microsoft's own exporter posts to the sandbox: over HTTP, and with a token of Entra ID over HTTPS."""

import datetime as dt
import socket

import pytest
from azure.core.credentials import AccessToken
from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from bridge.sandbox import Sandbox
from tests.scripted.certificate import certificate as made
from tests.unit.sandbox.telemetry import NOW

AT = int(NOW) * 10**9


def measurements(value: float = 1.5) -> MetricsData:
    gauge = NumberDataPoint({"model": "bert", "version": "1"}, AT, AT, value)
    histogram = HistogramDataPoint(
        {}, AT, AT, count=4, sum=10.0, bucket_counts=[4], explicit_bounds=[], min=1.0, max=5.0
    )
    metrics = [
        Metric("requests", "", "1", Gauge([gauge])),
        Metric("duration", "", "us", Histogram([histogram], AggregationTemporality.DELTA)),
    ]
    resource = Resource({"service.name": "triton", "service.instance.id": "pod-1"})
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(InstrumentationScope("bridge"), metrics, "")], "")])


@pytest.fixture
def export(monkeypatch):
    """Send measurements once, with the exporter's other activities switched off."""
    for name in ("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED"):
        monkeypatch.setenv(f"APPLICATIONINSIGHTS_{name}", "true")

    def run(sandbox: Sandbox, metrics: MetricsData, **options: object) -> MetricExportResult:
        exporter = AzureMonitorMetricExporter(
            connection_string=sandbox.connection_string, disable_offline_storage=True, retry_total=0, **options
        )
        try:
            return exporter.export(metrics)
        finally:
            exporter.client.close()
            exporter.shutdown()

    return run


def test_the_exporters_metrics_become_rows(start, export):
    sandbox = start()
    assert export(sandbox, measurements()) is MetricExportResult.SUCCESS
    requests, duration = sandbox.rows()
    assert {
        name: requests[name] for name in ("name", "timestamp", "value", "valueCount", "valueMin", "customDimensions")
    } == {
        "name": "requests",
        "timestamp": "2026-11-21T08:33:20Z",
        "value": 1.5,
        "valueCount": 1,
        "valueMin": 1.5,
        "customDimensions": {"model": "bert", "version": "1"},
    }
    assert [duration[name] for name in ("value", "valueCount", "valueSum", "valueMin", "valueMax")] == [
        2.5,
        4,
        10,
        1,
        5,
    ]
    assert (requests["cloud_RoleName"], requests["cloud_RoleInstance"]) == ("triton", "pod-1")
    post = sandbox.posts()[0]
    # The endpoint of a connection string ends with a slash, and the exporter adds its path to that.
    assert (post.path, post.status, post.items, post.content_type) == ("//v2.1/track", 200, 2, "application/json")
    assert post.user_agent.startswith("azsdk-python-")


def test_the_exporters_nan_is_no_json_and_spoils_its_post(start, export):
    sandbox = start()
    assert export(sandbox, measurements(float("nan"))) is MetricExportResult.FAILURE
    assert ([post.status for post in sandbox.posts()], sandbox.rows()) == ([400], [])


class Credential:
    """A credential of Entra ID that needs no directory."""

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return AccessToken("eyJ0", int(dt.datetime.now(dt.timezone.utc).timestamp()) + 3600)


@pytest.fixture
def certificate(tmp_path):
    """A certificate for 127.0.0.1 that signs itself: its file, and its key's."""
    return made(tmp_path)


def test_a_token_of_entra_id_is_taken_over_https(start, export, certificate):
    sandbox = start(certificate=certificate)
    assert sandbox.url.startswith("https://127.0.0.1:")
    result = export(sandbox, measurements(), credential=Credential(), connection_verify=certificate[0])
    assert (result, len(sandbox.rows())) == (MetricExportResult.SUCCESS, 2)


def test_a_client_that_does_not_trust_the_certificate_leaves_nothing_and_breaks_nothing(start, export, certificate):
    sandbox = start(certificate=certificate)
    assert export(sandbox, measurements()) is MetricExportResult.FAILURE
    assert sandbox.posts() == []
    assert export(sandbox, measurements(), connection_verify=certificate[0]) is MetricExportResult.SUCCESS


def test_a_client_that_never_shakes_hands_does_not_hold_up_the_others(start, export, certificate):
    sandbox = start(certificate=certificate)
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))):
        assert export(sandbox, measurements(), connection_verify=certificate[0]) is MetricExportResult.SUCCESS
