"""The only module that asks Prometheus: what it sends, what it reads, and that no failure tells a secret."""

from __future__ import annotations

import json
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.errors import PartialAnswer, PrometheusError, PrometheusRefused, PrometheusUnreachable
from bridge.points import Series
from bridge.prometheus import Prometheus, Rule, Target
from tests.scripted.serving import Answer, Asked, serving

PASSWORD = "top-secret"  # a name in the source lines that a traceback shows
SECRET = f"{PASSWORD}-☃"


class Server:
    """Gives each request the same answer, and keeps what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.status, self.body = 200, b""
        self.requests: list[Asked] = []

    def answers(self, data: object, **more: object) -> None:
        self.body = json.dumps({"status": "success", "data": data, **more}).encode()

    def gives(self, kind: str, result: object, **more: object) -> None:
        self.answers({"resultType": kind, "result": result}, **more)

    def answer(self, asked: Asked) -> Answer:
        self.requests.append(asked)
        return Answer(self.body, self.status)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with serving(server.answer) as address:
        server.url = f"http://{address}"
        yield server


Connect = Callable[..., Prometheus]


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    """A Prometheus at the server, or at another ``url``."""
    made: list[Prometheus] = []

    def make(url: str = "", **options: Any) -> Prometheus:
        made.append(Prometheus(url or server.url, **options))
        return made[-1]

    yield make
    for prometheus in made:
        prometheus.close()


@pytest.mark.parametrize(
    ("kind", "result", "expected"),
    [
        ("vector", [], []),
        ("vector", [{"metric": {"a": "b"}, "value": [10, "NaN"]}], [Series({"a": "b"}, [[10, "NaN"]])]),
        (
            "matrix",
            [{"metric": {"a": "b"}, "values": [[9, "1"], [10, "+Inf"]]}],
            [Series({"a": "b"}, [[9, "1"], [10, "+Inf"]])],
        ),
        ("scalar", [10, "2.5"], [Series({}, [(10, "2.5")])]),
        ("scalar", [10, "+Inf"], [Series({}, [(10, "+Inf")])]),
        ("vector", [{"metric": {}, "histogram": [10, {"count": "3"}]}], []),
    ],
)
def test_each_kind_of_result_becomes_series(
    server: Server, connect: Connect, kind: str, result: object, expected: list[Series]
) -> None:
    server.gives(kind, result)

    assert connect().ask("x", 10.0) == expected


def test_a_string_is_no_number(server: Server, connect: Connect) -> None:
    server.gives("string", [10, "hello"])

    with pytest.raises(PrometheusError, match="a string and no number"):
        connect().ask('"hello"', 10.0)


def test_a_question_is_an_instant_query_at_its_time(server: Server, connect: Connect) -> None:
    server.gives("vector", [])
    connect().ask("up", 1_795_000_020.0)

    assert server.requests[0][1:3] == ("/api/v1/query", {"query": "up", "time": "1795000020.000"})


def test_now_is_prometheus_own_clock(server: Server, connect: Connect) -> None:
    server.gives("scalar", [1000.5, "1000.5"])

    assert connect().now() == 1000.5


def test_names_are_those_with_a_sample_now(server: Server, connect: Connect) -> None:
    """Label values would span the whole retention."""
    server.gives("vector", [{"metric": {"__name__": name}, "value": [10, "3"]} for name in ("up", "a:b")])
    prometheus = connect()
    prometheus.now = lambda: 10.0  # type: ignore[method-assign]

    assert prometheus.names() == {"up", "a:b"}
    assert server.requests[0][1:3] == (
        "/api/v1/query",
        {"query": 'count by (__name__) ({__name__!=""})', "time": "10.000"},
    )


def test_targets_bear_their_intervals_in_seconds(server: Server, connect: Connect) -> None:
    target = {
        "labels": {"job": "triton", "instance": "t:8002"},
        "scrapeInterval": "1m30s",
        "scrapeTimeout": "500ms",
        "health": "down",
        "lastError": "refused",
    }
    server.answers({"activeTargets": [target]})

    assert connect().targets() == [Target("triton", "t:8002", 90.0, 0.5, "down", "refused")]


def test_rules_bear_their_health(server: Server, connect: Connect) -> None:
    rule = {"name": "a_irate", "query": "irate(a[1m])", "health": "err", "lastError": "no"}
    server.answers({"groups": [{"interval": 15, "rules": [rule, {**rule, "health": "ok", "lastError": ""}]}]})

    assert connect().rules() == [
        Rule("a_irate", "irate(a[1m])", "err", "no", 15.0),
        Rule("a_irate", "irate(a[1m])", "ok", "", 15.0),
    ]
    assert server.requests[0][1:3] == ("/api/v1/rules", {"type": "record"})


def test_lookback_and_version_are_read_from_the_status(server: Server, connect: Connect) -> None:
    server.answers({"query.lookback-delta": "5m", "version": "2.42.0"})

    assert (connect().lookback(), connect().version()) == (300.0, "2.42.0")


@pytest.mark.parametrize("method", ["now", "targets", "rules", "names", "lookback", "version"])
@pytest.mark.parametrize("data", [{}, {"result": [10, "soon"]}, {"query.lookback-delta": "soon"}, None])
def test_every_method_fails_by_one_type(server: Server, connect: Connect, method: str, data: object) -> None:
    server.answers(data)

    with pytest.raises(PrometheusError):
        getattr(connect(), method)()


def test_a_refusal_keeps_status_and_reason(server: Server, connect: Connect) -> None:
    server.status = 400
    server.body = json.dumps({"status": "error", "error": "1:5: parse error: unclosed"}).encode()

    with pytest.raises(PrometheusRefused, match="Prometheus answered 400: 1:5: parse error: unclosed") as caught:
        connect().ask("sum(", 10.0)
    assert caught.value.status == 400


def test_a_refusal_by_something_else_is_told_by_its_status(server: Server, connect: Connect) -> None:
    server.status, server.body = 503, b"<html>"

    with pytest.raises(PrometheusRefused, match="503: Service Unavailable"):
        connect().ask("up", 10.0)


def test_a_page_is_not_taken_for_an_answer(server: Server, connect: Connect) -> None:
    server.body = b"<html>Sign in</html>"

    with pytest.raises(PrometheusError, match="answered, but not as Prometheus does"):
        connect().ask("up", 10.0)


def test_an_answer_with_warnings_counts_as_none(server: Server, connect: Connect) -> None:
    server.gives("vector", [], warnings=["one store is away"])

    with pytest.raises(PartialAnswer, match="one store is away"):
        connect().ask("up", 10.0)


def test_an_answer_with_a_remark_on_the_query_is_whole(server: Server, connect: Connect) -> None:
    """As Prometheus 2.53 remarks on every rate of a name without ``_total``."""
    server.gives("vector", [], warnings=["PromQL info: metric might not be a counter"])

    assert connect().ask("up", 10.0) == []


def test_no_connection_is_unreachable(connect: Connect) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        prometheus = connect(f"http://127.0.0.1:{taken.getsockname()[1]}")

        with pytest.raises(PrometheusUnreachable, match=r"cannot be reached: .*Connection refused"):
            prometheus.ask("up", 10.0)


@pytest.mark.parametrize("method", ["now", "targets", "rules"])
def test_the_time_out_holds_for_every_question(connect: Connect, method: str) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        prometheus = connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)

        with pytest.raises(PrometheusUnreachable, match=r"^Prometheus did not answer in time$"):
            getattr(prometheus, method)()


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_question_is_put_once(server: Server, connect: Connect, status: int) -> None:
    """The client library would ask again by itself; retries belong to the cycle."""
    server.status, server.body = status, b'{"status": "error", "error": "no"}'

    with pytest.raises(PrometheusRefused):
        connect().ask("up", 10.0)
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["now", "targets", "rules"])
@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ({"auth": ("user", "pass")}, "Authorization", "Basic dXNlcjpwYXNz"),
        ({"bearer_token": "token"}, "Authorization", "Bearer token"),
        ({"headers": {"X-Scope-OrgID": "tenant"}}, "X-Scope-OrgID", "tenant"),
    ],
)
def test_credentials_go_with_every_question(
    server: Server, connect: Connect, method: str, options: dict[str, Any], name: str, value: str
) -> None:
    server.answers({"result": [10, "10"], "activeTargets": [], "groups": []})
    getattr(connect(**options), method)()

    assert [headers.get(name) for *_, headers in server.requests] == [value]


@pytest.mark.parametrize("method", ["now", "targets", "rules"])
@pytest.mark.parametrize(
    "options",
    [
        {"auth": (SECRET, "pass")},
        {"auth": ("user", SECRET)},
        {"bearer_token": SECRET},
        {"bearer_token": "top-secret\n"},
        {"headers": {"X-Key": SECRET}},
        {"headers": {"X-Key": "top-secret\nX: y"}},
        {"headers": {"top-secret: x": "y"}},
    ],
)
def test_a_credential_that_no_header_can_hold_is_named_and_not_shown(
    connect: Connect, method: str, options: dict[str, Any]
) -> None:
    with pytest.raises(PrometheusError, match="BRIDGE_PROMETHEUS_HEADERS") as caught:
        getattr(connect(**options), method)()

    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("status", [200, 401, 503])
def test_no_failure_tells_a_secret(server: Server, connect: Connect, status: int) -> None:
    server.status, server.body = status, b"<html>"

    with pytest.raises(PrometheusError) as caught:
        connect(auth=("user", PASSWORD), headers={"X-Key": PASSWORD}).ask("up", 10.0)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
