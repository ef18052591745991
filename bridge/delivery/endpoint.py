"""Takes compressed bytes, gives the endpoint's reply, or why there is none. The only module that imports Azure's packages.

Azure's exporter lends its HTTP pipeline (Entra ID, proxies, TLS) and nothing else: its storage, rate limiter, retries,
statistics and control plane are off. It is imported late, for that takes 0.3 s.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.delivery.redirects import follow
from bridge.delivery.replies import Reply, plain
from bridge.errors import ConfigurationError, Finding

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineRequest, PipelineResponse
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter
    from opentelemetry.sdk.resources import Resource

log = logging.getLogger(__name__)

_GLOBAL_ENDPOINT = "https://dc.services.visualstudio.com"
_CONNECT_TIMEOUT = 10.0
# A reply that names each of 5,000 items is about 1 MB; what is longer is not Azure's.
_LONGEST_REPLY = 16_000_000
_SIDE_CHANNELS_OFF = {
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
}


@dataclass(frozen=True)
class Entra:
    """Authenticate with Entra ID, as the managed or workload identity ``client_id``; None: the machine's own."""

    client_id: str | None = None


class Silence(NamedTuple):
    """No reply. ``sent``: the request may have reached the service, so its points may have been taken."""

    sent: bool
    detail: str
    misconfigured: bool = False


class Endpoint:
    """Where batches go. One thread at a time may use it.

    Raises ConfigurationError for a connection string or an identity that cannot be used.
    """

    def __init__(
        self, connection_string: str, entra: Entra | None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        fields = _fields(connection_string)
        self._entra = entra
        self._monotonic = monotonic
        self._configured = self.url = _ingestion_endpoint(fields)
        self._fields = {"InstrumentationKey": fields.get("instrumentationkey", "")}
        if "aadaudience" in fields:
            self._fields["AADAudience"] = fields["aadaudience"]
        try:
            self._credential = _credential(entra)
            self._exporter = self._build()
        except ValueError as error:
            raise ConfigurationError([_finding(str(error))]) from None

    def send(self, body: bytes, timeout: float) -> Reply | Silence:
        """POST gzip bytes, and wait for the whole reply at most ``timeout`` seconds."""
        exchange = _Exchange(self._exporter, body, timeout, self._monotonic)
        # In a thread of its own: a time-out of the socket starts anew with every byte, and a DNS server knows none.
        thread = threading.Thread(target=exchange.run, name="post", daemon=True)
        thread.start()
        thread.join(timeout)
        late = thread.is_alive()
        reply, error = exchange.reply, exchange.error
        if reply:
            return reply
        if late:
            self._renew(self.url)  # its connection is lost to us, and may yet answer
        if not exchange.begun and self._entra:
            return Silence(sent=False, detail=_no_token(error), misconfigured=True)
        if late:
            return Silence(sent=exchange.begun, detail=f"no complete reply from {self.url} within {timeout:.0f} s")
        if exchange.was_sent:
            return Silence(sent=True, detail=f"the reply of {self.url} was lost: {plain(str(error))}")
        if self.url != self._configured:
            self._renew(self._configured)  # Azure may have moved on from where it once sent us
        return Silence(sent=False, detail=f"{self.url} cannot be reached: {plain(str(error))}{_advice(error)}")

    def redirect(self, target: str) -> bool:
        """Post to the redirect's target from now on, for the life of the process; False if that must not be."""
        origin = follow(self.url, target)
        if origin is None:
            return False
        log.info("Azure redirects from %s to %s", self.url, origin)
        self._renew(origin)
        return True

    def close(self) -> None:
        """Close the connections."""
        self._exporter.client.close()

    def _renew(self, url: str) -> None:
        self.close()
        self.url = url
        self._exporter = self._build()

    def _build(self) -> AzureMonitorMetricExporter:
        fields = {**self._fields, "IngestionEndpoint": self.url}
        return _exporter(";".join(f"{name}={value}" for name, value in fields.items()), credential=self._credential)


class _Exchange:
    """One POST, run in a thread that may be given up."""

    def __init__(
        self, exporter: AzureMonitorMetricExporter, body: bytes, timeout: float, monotonic: Callable[[], float]
    ) -> None:
        self.begun = False
        self.reply: Reply | None = None
        self.error: Exception | None = None
        self._exporter = exporter
        self._body = body
        self._timeout = timeout
        self._monotonic = monotonic
        self._deadline = monotonic() + timeout

    @property
    def was_sent(self) -> bool:
        from azure.core.exceptions import ServiceRequestError  # noqa: PLC0415  # see the module's docstring

        return self.begun and not isinstance(self.error, ServiceRequestError)

    def run(self) -> None:
        try:
            self._exporter.client.track(
                self._body,  # type: ignore[call-overload]  # takes bytes; only its annotation leaves them out
                content_type="application/json",
                headers={"Content-Encoding": "gzip"},
                raw_request_hook=self._begin,
                raw_response_hook=self._receive,
                stream=True,
                connection_timeout=min(_CONNECT_TIMEOUT, self._timeout),
                read_timeout=self._timeout,
            )
        except Exception as error:  # noqa: BLE001  # whatever a network, a proxy or a server can cause
            self.error = error

    def _begin(self, _: PipelineRequest[Any]) -> None:
        # The hook comes after the token has been got and before the request goes out.
        self.begun = True

    def _receive(self, response: PipelineResponse[Any, Any]) -> None:
        http = response.http_response
        body = bytearray()
        for chunk in http.iter_bytes():
            body += chunk
            if len(body) > _LONGEST_REPLY or self._monotonic() > self._deadline:
                raise TimeoutError("the reply does not end")
        headers = {name.lower(): value for name, value in http.headers.items()}
        self.reply = Reply(http.status_code, headers, bytes(body), http.request.url)
        if http.status_code != 401:  # which makes the policy above drop its token
            raise _Received


class _Received(Exception):  # ends the pipeline: the exporter would read the reply again, and complain
    pass


def context_tags(resource: Resource) -> dict[str, str]:
    """The tags that Azure's exporter puts on every envelope for this resource: cloud role, instance, SDK version …

    Its rules (``service.*``, ``k8s.*``) are its own; they are learnt from one point that it exports to nowhere.
    """
    from azure.core.pipeline.transport import HttpTransport  # noqa: PLC0415  # see the module's docstring
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
        exporter = _exporter(f"InstrumentationKey={'0' * 8}-0000-0000-0000-{'0' * 12}", transport=Nowhere())
        try:
            exporter.export(MetricsData([ResourceMetrics(resource, [scope], "")]))
        except Caught as caught:
            tags: dict[str, str] = json.loads(caught.args[0])[0]["tags"]
            return tags
    raise AssertionError("the exporter sent nothing")


def _exporter(connection_string: str, **options: Any) -> AzureMonitorMetricExporter:
    with _undisturbed():
        from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter  # noqa: PLC0415  # costs 0.3 s

        return AzureMonitorMetricExporter(
            connection_string=connection_string,
            disable_offline_storage=True,
            max_envelopes_per_second=0,
            retry_total=0,
            **{"credential": None, **options},
        )


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


def _credential(entra: Entra | None) -> Any:
    if entra is None:
        return None
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415  # see the module's docstring

    return ManagedIdentityCredential(client_id=entra.client_id)


def _fields(connection_string: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in connection_string.split(";") if pair.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _ingestion_endpoint(fields: dict[str, str]) -> str:
    """Explicit, else by suffix and location, else the global one (connection-strings.md)."""
    url = fields.get("ingestionendpoint", "")
    if not url and (suffix := fields.get("endpointsuffix")):
        location = fields.get("location")
        url = f"https://{location}.dc.{suffix}" if location else f"https://dc.{suffix}"
    # A gateway of one's own may have a path. A slash at the end would make it //v2.1/track.
    url = (url or _GLOBAL_ENDPOINT).rstrip("/")
    if not follow(url, url):
        raise ConfigurationError([_finding(f"IngestionEndpoint {plain(url)!r} is no web address")])
    return url


def _finding(problem: str) -> Finding:
    remedy = "copy the connection string of the resource from the Azure portal"
    return Finding("APPLICATIONINSIGHTS_CONNECTION_STRING", problem, remedy)


def _no_token(error: Exception | None) -> str:
    reason = plain(str(error)) if error else "no answer in time"
    return (
        f"no token from Entra ID ({reason}): give this machine or pod a managed or workload identity,"
        " and its client id in APPLICATIONINSIGHTS_AUTHENTICATION_STRING=Authorization=AAD;ClientId=…"
    )


def _advice(error: Exception | None) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "; behind a proxy that inspects TLS, name its certificates in REQUESTS_CA_BUNDLE"
    return ""
