"""Takes compressed bytes, gives the endpoint's reply, or why there is none, within a time that nothing stretches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from bridge.delivery.exporter import Entra, credential_for, exporter_for, was_not_sent
from bridge.delivery.redirects import follow
from bridge.delivery.replies import Reply, plain
from bridge.errors import ConfigurationError, Finding

if TYPE_CHECKING:
    from azure.core.pipeline import PipelineRequest, PipelineResponse
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter

log = logging.getLogger(__name__)

_GLOBAL_ENDPOINT = "https://dc.services.visualstudio.com"
_CONNECT_TIMEOUT = 10.0
# A reply that names each of 5,000 items is about 1 MB; what is longer is not Azure's.
_LONGEST_REPLY = 16_000_000


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
        self._credential = credential_for(entra)
        try:
            self._exporter = self._build()
        except ValueError as error:
            raise ConfigurationError([_finding(str(error))]) from None
        self._poster = _Poster()

    def send(self, body: bytes, timeout: float) -> Reply | Silence:
        """POST gzip bytes, and wait for the whole reply at most ``timeout`` seconds."""
        exchange = _Exchange(self._exporter, body, timeout, self._monotonic)
        late = not self._poster.run(exchange, timeout)
        reply, error = exchange.reply, exchange.error
        if reply:
            return reply
        if late:
            self._renew(self.url)  # its connection is lost to us, and may yet answer
        if self._entra and not exchange.authorized:
            return Silence(sent=False, detail=_no_token(error), misconfigured=True)
        if late:
            return Silence(sent=True, detail=f"no complete reply from {self.url} within {timeout:.0f} s")
        if not was_not_sent(error):
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
        self._poster.dismiss()
        self._exporter.client.close()

    def _renew(self, url: str) -> None:
        self.close()
        self.url = url
        self._poster = _Poster()
        self._exporter = self._build()

    def _build(self) -> AzureMonitorMetricExporter:
        fields = {**self._fields, "IngestionEndpoint": self.url}
        return exporter_for(";".join(f"{name}={value}" for name, value in fields.items()), credential=self._credential)


class _Poster:
    """A thread that posts, apart from the one that waits: a time-out of the socket starts anew with every byte.

    One for all posts, until it is given up: azure-core leaves 4 kB behind in every thread that it has run in.
    """

    def __init__(self) -> None:
        self._exchanges: SimpleQueue[_Exchange | None] = SimpleQueue()
        threading.Thread(target=self._work, name="post", daemon=True).start()

    def run(self, exchange: _Exchange, timeout: float) -> bool:
        """Run it; whether it ended in time."""
        self._exchanges.put(exchange)
        return exchange.ended.wait(timeout)

    def dismiss(self) -> None:
        """Let the thread end, when it can."""
        self._exchanges.put(None)

    def _work(self) -> None:
        while exchange := self._exchanges.get():
            exchange.context.run(exchange.run)


class _Exchange:
    """One POST, run in a thread that may be given up."""

    def __init__(
        self, exporter: AzureMonitorMetricExporter, body: bytes, timeout: float, monotonic: Callable[[], float]
    ) -> None:
        self.ended = threading.Event()
        self.context = copy_context()  # whose cycle it is
        self.authorized = False
        self.reply: Reply | None = None
        self.error: Exception | None = None
        self._exporter = exporter
        self._body = body
        self._timeout = timeout
        self._monotonic = monotonic
        self._deadline = monotonic() + timeout

    def run(self) -> None:
        try:
            self._exporter.client.track(
                self._body,  # type: ignore[call-overload]  # takes bytes; only its annotation leaves them out
                content_type="application/json",
                headers={"Content-Encoding": "gzip"},
                raw_request_hook=self._go,
                raw_response_hook=self._receive,
                stream=True,
                connection_timeout=min(_CONNECT_TIMEOUT, self._timeout),
                read_timeout=2 * self._timeout,  # the deadline speaks first; this ends a thread that was given up
            )
        except Exception as error:  # noqa: BLE001  # whatever a network, a proxy or a server can cause
            self.error = error
        finally:
            self.ended.set()

    def _go(self, _: PipelineRequest[Any]) -> None:
        # The hook comes after the token has been got and before the request goes out.
        self.authorized = True

    def _receive(self, response: PipelineResponse[Any, Any]) -> None:
        http = response.http_response
        body = bytearray()
        for chunk in http.iter_bytes():
            body += chunk
            if len(body) > _LONGEST_REPLY or self._monotonic() > self._deadline:
                raise TimeoutError("the reply does not end")
        headers = {name.lower(): value for name, value in http.headers.items()}
        self.reply = Reply(http.status_code, headers, bytes(body), http.request.url)
        raise _Received


class _Received(Exception):  # ends the pipeline: the exporter would read the reply again, and complain
    pass


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
