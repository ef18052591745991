"""A Prometheus behind a door: what is said where the door stays shut, and which setting opens it."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bridge.errors import PrometheusError, PrometheusRefused, PrometheusUnreachable
from bridge.prometheus import Prometheus
from tests.scripted.certificate import certificate

METHODS = ["now", "targets", "rules", "lookback", "version"]
ANSWER = {
    "result": [10, "10"],
    "activeTargets": [],
    "groups": [],
    "query.lookback-delta": "35s",
    "version": "3.5.0",
}
LOOK_AT_URL = "look at BRIDGE_PROMETHEUS_URL"
LOOK_AT_CREDENTIALS = "look at BRIDGE_PROMETHEUS_USERNAME and _PASSWORD, _BEARER_TOKEN, or _HEADERS"
NAME_CA = "name a PEM file with its certificate, or its issuer's, in BRIDGE_PROMETHEUS_CA"


class Door:
    """Gives each request the same answer, over TLS where a certificate is given; else as a plain server."""

    def __init__(self) -> None:
        self.status, self.body = 200, json.dumps({"status": "success", "data": ANSWER}).encode()
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(door.status)
                self.send_header("Content-Length", str(len(door.body)))
                self.end_headers()
                self.wfile.write(door.body)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that does not trust us hangs up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def lock(self, pem: str, key: str) -> None:
        """Speak TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self) -> Door:  # noqa: PYI034 — Self needs Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as opened:
        yield opened


Connect = Callable[..., Prometheus]


@pytest.fixture
def connect() -> Iterator[Connect]:
    made: list[Prometheus] = []

    def make(url: str, *, ca: str | None = None, timeout: float = 10) -> Prometheus:
        made.append(Prometheus(url, ca=ca, timeout=timeout))
        return made[-1]

    yield make
    for prometheus in made:
        prometheus.close()


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Callable[..., tuple[str, str]]]:
    """``locked("127.0.0.1")`` gives the URL of a server with a certificate for these names, and the certificate."""
    with ExitStack() as running:

        def make(*hosts: str) -> tuple[str, str]:
            pem, key = certificate(tmp_path, *hosts)
            door = Door()
            door.lock(pem, key)
            return f"https://127.0.0.1:{running.enter_context(door).port}", pem

        yield make


Locked = Callable[..., tuple[str, str]]


@pytest.mark.parametrize("method", METHODS)
def test_a_certificate_is_trusted_by_the_setting_whatever_else_the_environment_trusts(
    connect: Connect, locked: Locked, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE, of a proxy on the way to Azure, would win over a session's own certificates."""
    url, pem = locked()
    (tmp_path / "other").mkdir()
    other, _ = certificate(tmp_path / "other")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", other)

    getattr(connect(url, ca=pem), method)()


def test_a_certificate_that_is_not_trusted_names_the_setting_that_would(connect: Connect, locked: Locked) -> None:
    url, _ = locked()

    with pytest.raises(PrometheusUnreachable) as caught:
        connect(url).now()
    assert re.fullmatch(
        f"Prometheus cannot be reached: self.signed certificate — {re.escape(NAME_CA)}", str(caught.value)
    )


def test_a_certificate_for_another_name_points_to_the_url(connect: Connect, locked: Locked) -> None:
    url, pem = locked("prometheus.example.com")

    with pytest.raises(PrometheusUnreachable, match=f"not valid for '127.0.0.1'.* — {LOOK_AT_URL}$"):
        connect(url, ca=pem).now()


def test_a_file_without_certificates_is_told_as_that_setting(connect: Connect, locked: Locked, tmp_path: Path) -> None:
    url, _ = locked()
    empty = tmp_path / "empty.pem"
    empty.touch()

    with pytest.raises(PrometheusUnreachable, match=f" — {NAME_CA}$"):
        connect(url, ca=str(empty)).now()


@pytest.mark.parametrize("method", METHODS)
def test_a_file_of_certificates_that_vanished_is_told_as_that_setting(
    connect: Connect, locked: Locked, method: str, tmp_path: Path
) -> None:
    url, _ = locked()

    with pytest.raises(PrometheusError, match=r"^BRIDGE_PROMETHEUS_CA cannot be read: .*gone\.pem"):
        getattr(connect(url, ca=str(tmp_path / "gone.pem")), method)()


def test_tls_where_nobody_speaks_it_points_to_the_url(connect: Connect, door: Door) -> None:
    with pytest.raises(PrometheusUnreachable, match=f"^Prometheus cannot be reached: .* — {LOOK_AT_URL}$"):
        connect(f"https://127.0.0.1:{door.port}").now()


@pytest.mark.parametrize("body", [b"Unauthorized\n", b'{"status": "error", "error": "Unauthorized"}', b"<html>"])
def test_wrong_credentials_are_told_as_such(connect: Connect, door: Door, body: bytes) -> None:
    door.status, door.body = 401, body

    with pytest.raises(PrometheusRefused) as caught:
        connect(f"http://127.0.0.1:{door.port}").now()
    assert str(caught.value) == f"Prometheus answered 401: Unauthorized — {LOOK_AT_CREDENTIALS}"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, b"no", f"403: Forbidden — {LOOK_AT_CREDENTIALS}"),
        (404, b"404 page not found", f"404: Not Found — {LOOK_AT_URL}"),
        (400, b"Client sent an HTTP request to an HTTPS server.", f"400: Bad Request — {LOOK_AT_URL}"),
        (400, b'{"status": "error", "error": "1:1: parse error"}', "400: 1:1: parse error"),
        (503, b"Service Unavailable", "503: Service Unavailable"),
    ],
)
def test_a_remedy_stands_only_where_it_may_help(
    connect: Connect, door: Door, status: int, body: bytes, expected: str
) -> None:
    door.status, door.body = status, body

    with pytest.raises(PrometheusRefused) as caught:
        connect(f"http://127.0.0.1:{door.port}").now()
    assert str(caught.value) == f"Prometheus answered {expected}"


def test_an_answer_that_stops_half_way_is_late_and_not_out_of_reach(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:

        def begin() -> socket.socket:
            peer, _ = server.accept()
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
            return peer

        begun = pool.submit(begin)
        with pytest.raises(PrometheusUnreachable, match=r"^Prometheus did not answer in time$"):
            connect(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.2).now()
        begun.result().close()
