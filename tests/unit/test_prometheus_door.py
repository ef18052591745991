"""A Prometheus behind a door: what is said where the door stays shut, and which setting opens it."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from bridge.errors import PrometheusError, PrometheusRefused, PrometheusUnreachable
from bridge.prometheus import Prometheus
from tests.scripted.certificate import certificate
from tests.scripted.serving import Answer, Asked, serving

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
    """Gives each request the same answer."""

    def __init__(self) -> None:
        self.address = ""
        self.status, self.body = 200, json.dumps({"status": "success", "data": ANSWER}).encode()

    def answer(self, _: Asked) -> Answer:
        return Answer(self.body, self.status)


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    with serving(door.answer) as door.address:
        yield door


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
            files = certificate(tmp_path, *hosts)
            return f"https://{running.enter_context(serving(Door().answer, files))}", files[0]

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
        connect(f"https://{door.address}").now()


@pytest.mark.parametrize("body", [b"Unauthorized\n", b'{"status": "error", "error": "Unauthorized"}', b"<html>"])
def test_wrong_credentials_are_told_as_such(connect: Connect, door: Door, body: bytes) -> None:
    door.status, door.body = 401, body

    with pytest.raises(PrometheusRefused) as caught:
        connect(f"http://{door.address}").now()
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
        connect(f"http://{door.address}").now()
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
