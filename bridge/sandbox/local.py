"""Takes a host and a port, gives an Application Insights there that fits into a test, a demo, or an offline bridge."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, final

from bridge.errors import BridgeError, ConfigurationError, Finding
from bridge.sandbox.endpoint import Endpoint, Post
from bridge.sandbox.limits import Limits
from bridge.sandbox.server import Server

DEFAULT_KEY = "00000000-0000-0000-0000-000000000000"
_REACHABLE_AT = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (nothing is bound here)


@final
class Sandbox:
    """A local Application Insights ingestion endpoint that obeys the service's rules.

    ``port`` 0 takes a free one, and keeps it over close() and start(). ``keys`` are the instrumentation keys that
    exist (None: all); ``max_rows`` bounds the rows that are kept. ``nan_per_item``: NaN spoils one item, not the POST.
    ``certificate`` (certificate file, key file) makes it https. ``now`` and ``sleep`` are the clock (epoch s) and the
    wait of scripted delays; the default wait ends when the sandbox is closed.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        scriptable: bool = False,
        now: Callable[[], float] = time.time,
        keys: Collection[str] | None = None,
        max_rows: int = 100_000,
        limits: Limits | None = None,
        nan_per_item: bool = False,
        certificate: tuple[str, str] | None = None,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._scriptable = scriptable
        self._sleep = sleep
        self._key = min(keys).lower() if keys else DEFAULT_KEY
        self._endpoint = Endpoint(limits or Limits(), now, keys, max_rows, nan_per_item=nan_per_item)
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self._server: Server | None = None

    def start(self) -> None:
        """Listen; what arrived before is kept. Raises ConfigurationError where that is not possible."""
        if self._server:
            return
        try:
            self._server = Server(
                (self._host, self._port),
                self._endpoint,
                scriptable=self._scriptable,
                sleep=self._sleep,
                tls=self._tls,
            )
        except OSError as error:
            problem = f"cannot listen on {self._host}:{self._port}: {error.strerror}"
            raise ConfigurationError([Finding("sandbox", problem, "port 0 takes a free one")]) from error
        self._port = self._server.server_address[1]
        self._server.start()

    def close(self) -> None:
        """Stop listening and end all connections, within a second; what arrived stays."""
        if self._server:
            self._server.stop()
            self._server = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end. Raises BridgeError before it has a port."""
        if not self._port:
            raise BridgeError("the sandbox has no address before it is started")
        host = _REACHABLE_AT.get(self._host, self._host)
        return f"http{'s' if self._tls else ''}://{f'[{host}]' if ':' in host else host}:{self._port}"

    @property
    def connection_string(self) -> str:
        """What an Application Insights SDK needs to post here."""
        return f"InstrumentationKey={self._key};IngestionEndpoint={self.url}/"

    @property
    def dropped_rows(self) -> int:
        """How many rows went because there were more than ``max_rows``."""
        return self._endpoint.counts().dropped_rows

    @property
    def replies_left(self) -> int:
        """How many scripted replies are still to be given."""
        return self._endpoint.counts().replies_left

    def rows(self) -> list[dict[str, Any]]:
        """The customMetrics rows, oldest first; repeats are kept, as in Azure."""
        return self._endpoint.rows()

    def posts(self) -> list[Post]:
        """The newest track POSTs, oldest first."""
        return self._endpoint.posts()

    def script(self, entries: object) -> None:
        """The replies to give next, see ``script``. Raises ConfigurationError, and BridgeError if not scriptable."""
        if not self._scriptable:
            raise BridgeError("the sandbox takes no script: it was not started as scriptable")
        self._endpoint.script(entries)

    def clear(self) -> None:
        """Forget the rows and the POSTs; the script and what the keys have used of their limits stay."""
        self._endpoint.clear()


def serve(host: str, port: int, *, scriptable: bool, announce: Callable[[str], None], stop: threading.Event) -> None:
    """Run a sandbox until ``stop`` is set; ``announce`` gets the lines that say where it is.

    Raises ConfigurationError where it cannot listen.
    """
    with Sandbox(host, port, scriptable=scriptable) as sandbox:
        announce(f"Sandbox at {sandbox.url}/ (rows as JSON: {sandbox.url}/_rows)")
        announce(f"APPLICATIONINSIGHTS_CONNECTION_STRING={sandbox.connection_string}")
        stop.wait()
