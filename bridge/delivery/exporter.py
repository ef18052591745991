"""Takes a connection string, gives Azure's exporter with only its HTTP pipeline on. Nothing else imports Azure's packages.

The pipeline has Entra ID, proxies and TLS. Off are storage, rate limiter, retries, statistics and control plane. The
imports stand in functions, for they take 0.3 s, which ``--help`` must not pay.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.errors import ConfigurationError, Finding

if TYPE_CHECKING:
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter
    from opentelemetry.sdk.resources import Resource

_SIDE_CHANNELS_OFF = {
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
}


@dataclass(frozen=True)
class Entra:
    """Authenticate with Entra ID, as the managed or workload identity ``client_id``; None: the machine's own."""

    client_id: str | None = None


def exporter_for(connection_string: str, **options: Any) -> AzureMonitorMetricExporter:
    """Azure's exporter, reduced to its pipeline. Raises ValueError for a connection string that it does not take."""
    with _undisturbed():
        from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter  # noqa: PLC0415

        return AzureMonitorMetricExporter(
            connection_string=connection_string,
            disable_offline_storage=True,
            max_envelopes_per_second=0,
            retry_total=0,
            **{"credential": None, **options},
        )


def credential_for(entra: Entra | None) -> Any:
    """What gets tokens from Entra ID, None without. Raises ConfigurationError for an identity that cannot be."""
    if entra is None:
        return None
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415

    try:
        return ManagedIdentityCredential(client_id=entra.client_id)
    except ValueError as error:  # a workload identity without its client id
        finding = Finding(
            "APPLICATIONINSIGHTS_AUTHENTICATION_STRING", str(error), "Authorization=AAD;ClientId=<client id>"
        )
        raise ConfigurationError([finding]) from None


def was_not_sent(error: Exception | None) -> bool:
    """Whether azure-core says that the request never went out: no address, no connection, no TLS."""
    from azure.core.exceptions import ServiceRequestError  # noqa: PLC0415

    return isinstance(error, ServiceRequestError)


def context_tags(resource: Resource) -> dict[str, str]:
    """The tags that Azure's exporter puts on every envelope for this resource: cloud role, instance, SDK version …

    Its rules (``service.*``, ``k8s.*``) are its own; they are learnt from one point that it exports to nowhere.
    """
    from azure.core.pipeline.transport import HttpTransport  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
        Gauge,
        Metric,
        MetricsData,
        NumberDataPoint,
        ResourceMetrics,
        ScopeMetrics,
    )
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

    class Caught(BaseException):  # no error; and the exporter swallows every Exception
        pass

    class Nowhere(HttpTransport[Any, Any]):
        def send(self, request: Any, **_: Any) -> Any:
            raise Caught(request.content)

        def open(self) -> None: ...
        def close(self) -> None: ...
        def __exit__(self, *_: object) -> None: ...

    metric = Metric("any", None, None, Gauge([NumberDataPoint({}, 0, 0, 0)]))
    scope = ScopeMetrics(InstrumentationScope("any"), [metric], "")
    with _undisturbed():
        exporter = exporter_for(f"InstrumentationKey={'0' * 8}-0000-0000-0000-{'0' * 12}", transport=Nowhere())
        try:
            exporter.export(MetricsData([ResourceMetrics(resource, [scope], "")]))
        except Caught as caught:
            tags: dict[str, str] = json.loads(caught.args[0])[0]["tags"]
            return tags
    raise AssertionError("the exporter sent nothing")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The environment without what the exporter would obey in it, and with its side channels switched off.

    It parses APPLICATIONINSIGHTS_CONNECTION_STRING even where another one is handed in, and fails at what it finds.
    """
    ours = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name.startswith(("APPLICATIONINSIGHTS_", "APPINSIGHTS_"))
    }
    os.environ.update(_SIDE_CHANNELS_OFF)
    try:
        yield
    finally:
        for name in _SIDE_CHANNELS_OFF:
            del os.environ[name]
        os.environ.update(ours)
