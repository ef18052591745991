"""HTTP itself: framing, methods, paths, connections, and requests that break its rules."""

import http.client
import json
import socket
import struct

import pytest

from tests.unit.sandbox.telemetry import changed, connect, metric, post, raw, request

LINES = "\n".join(json.dumps(metric(name)) for name in ("a", "b"))


ARRAY = json.dumps([metric("a"), metric("b")])


def test_a_body_in_chunks_is_taken(sandbox):
    assert post(sandbox, iter([ARRAY[:10].encode(), ARRAY[10:].encode()])).status == 200
    chunks = b"".join(b"%X;name=value\r\n%b\r\n" % (1, ARRAY[n : n + 1].encode()) for n in range(len(ARRAY)))
    head = b"POST /v2.1/track HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: Chunked\r\n\r\n"
    assert raw(sandbox, head + chunks + b"000\r\nTrailer: x\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    assert [each.bytes for each in sandbox.posts()] == [len(ARRAY)] * 2


def test_the_reply_is_written_as_the_service_writes_it(sandbox):
    body = json.dumps([metric()]).encode()
    reply = raw(
        sandbox,
        b"POST /v2/track HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
    )
    text = b'{"itemsReceived":1,"itemsAccepted":1,"appId":null,"errors":[]}'
    assert reply == (
        b"HTTP/1.1 200 OK\r\n"
        b"Transfer-Encoding: chunked\r\n"
        b"Content-Type: application/json; charset=utf-8\r\n"
        b"Server: Microsoft-HTTPAPI/2.0\r\n"
        b"Strict-Transport-Security: max-age=31536000\r\n"
        b"X-Content-Type-Options: nosniff\r\n"
        b"Date: Sat, 21 Nov 2026 08:33:20 GMT\r\n"
        b"Connection: close\r\n"
        b"\r\n"
        b"3e\r\n" + text + b"\r\n0\r\n\r\n"
    )


@pytest.mark.parametrize(
    "path",
    [
        "/track",
        "/v2.1/track/",
        "/V2.1/track",
        "/v2.2/track",
        "///v2.1/track",
        "/2020-09-15_Preview/track",
        "/v2/validate",
    ],
)
def test_another_path_is_404(sandbox, path):
    answer = post(sandbox, [metric()], path)
    assert (answer.status, sandbox.rows()) == (404, [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_another_method_is_405(sandbox, method):
    answer = request(sandbox, method, "/v2.1/track")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert (answer.body == b"") == (method == "HEAD")


def test_the_address_may_be_absolute_as_through_a_proxy(sandbox):
    assert post(sandbox, [metric()], f"{sandbox.url}/v2.1/track").status == 200
    assert post(sandbox, [metric()], f"{sandbox.url}//v2.1/track").status == 200


FRAME = b"POST /v2.1/track HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (FRAME + b"\r\n", 411),
        (FRAME + b"Content-Length: x\r\n\r\n", 400),
        (FRAME + b"Content-Length: -1\r\n\r\n", 400),
        (FRAME + b"Content-Length: +2\r\n\r\n[]", 400),
        (FRAME + b"Content-Length: 1_0\r\n\r\n[]", 400),
        (FRAME + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n[]", 400),
        (FRAME + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (FRAME + b"Transfer-Encoding: gzip\r\n\r\n", 501),
        (FRAME + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (FRAME + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (FRAME + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
        (FRAME + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[]]\r\n0\r\n\r\n", 400),
        (FRAME + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 200 + b"\r\n", 400),
        (b"POST /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (FRAME + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"nonsense\r\n\r\n", 400),
        (b"POST /v2.1/track HTTP/9\r\n\r\n", 400),
        (b"POST /v2.1/track HTTP/2.0\r\n\r\n", 505),
        (b"BREW /v2.1/track HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    ],
)
def test_a_request_that_breaks_http_is_answered_and_the_connection_closed(sandbox, data, status):
    reply = raw(sandbox, data)
    assert reply.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nServer: Microsoft-HTTPAPI/2.0\r\n" in reply
    assert sandbox.rows() == []


def test_a_client_that_goes_away_within_a_body_leaves_nothing(sandbox):
    for start in (
        b"Content-Length: 99\r\n\r\n[",
        b"Transfer-Encoding: chunked\r\n\r\n9\r\n[",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
    ):
        with connect(sandbox) as connection:
            connection.sendall(FRAME + start)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100) == b""
    assert sandbox.posts() == []


def test_a_connection_serves_many_requests_also_after_refusals(sandbox):
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=10)
    statuses = []
    for path, body in [("/v2.1/track", ARRAY), ("/v2.1/track", "[NaN]"), ("/nowhere", ARRAY), ("/v2/track", LINES)]:
        connection.request("POST", path, body)
        reply = connection.getresponse()
        reply.read()
        statuses.append(reply.status)
        used = connection.sock
    assert statuses == [200, 400, 404, 200]
    assert connection.sock is used
    connection.close()


def test_an_http_1_0_client_gets_a_length_instead_of_chunks(sandbox):
    reply = raw(
        sandbox,
        b"POST /v2/track HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n" % len(ARRAY)
        + ARRAY.encode(),
    )
    head, _, body = reply.partition(b"\r\n\r\n")
    assert (b"Transfer-Encoding" in head, b"Content-Length: %d\r\n" % len(body) in head) == (False, True)
    assert json.loads(body)["itemsAccepted"] == 2


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(sandbox):
    with connect(sandbox) as connection:
        connection.sendall(
            FRAME + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ARRAY)
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(ARRAY.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("headers", [b"Content-Length: 40000000", b"Transfer-Encoding: gzip"])
def test_a_client_that_asks_with_a_body_that_cannot_be_taken_is_not_told_to_go_on(sandbox, headers):
    reply = raw(sandbox, FRAME + b"Expect: 100-continue\r\n" + headers + b"\r\n\r\n")
    assert b"100 Continue" not in reply
    assert reply.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 501 "))


def test_a_text_of_a_sender_cannot_break_out_of_the_status_line(sandbox):
    answer = post(sandbox, [changed("data/baseType", "x\r\nSet-Cookie: a=b\r\n\r\nü")])
    assert (answer.status, answer.reason) == (400, "Unknown domain type 'x??Set-Cookie: a=b?????'")
    assert answer.headers["Set-Cookie"] is None


def test_a_failure_of_the_sandbox_itself_is_logged_and_ends_the_connection_alone(start, caplog):
    def broken():
        raise RuntimeError("no clock")

    sandbox = start(now=broken)
    assert raw(sandbox, FRAME + b"Content-Length: %d\r\n\r\n" % len(ARRAY) + ARRAY.encode()) == b""
    assert [record.getMessage() for record in caplog.records] == ["the sandbox failed on a request"]
    assert caplog.records[0].exc_info[0] is RuntimeError


def test_a_client_that_resets_its_connection_is_nothing_to_log(sandbox, caplog):
    with connect(sandbox) as connection:
        connection.sendall(FRAME + b"Content-Length: 99\r\n\r\n[")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sandbox.close()
    assert caplog.records == []
