"""The sandbox as a part of other programs: start, address, close, what it keeps."""

import http.client
import threading
import time

import pytest

from bridge.errors import BridgeError, ConfigurationError
from bridge.sandbox import Sandbox, serve
from tests.unit.sandbox.telemetry import connect, ended, metric, post

FRAME = b"POST /v2.1/track HTTP/1.1\r\nHost: x\r\n"


def test_rows_are_bounded_and_what_goes_is_counted(start):
    sandbox = start(max_rows=3)
    post(sandbox, [metric(f"m{n}") for n in range(5)])
    assert ([row["name"] for row in sandbox.rows()], sandbox.dropped_rows) == (["m2", "m3", "m4"], 2)


def test_rows_are_copies(sandbox):
    post(sandbox, [metric()])
    sandbox.rows()[0]["customDimensions"]["model"] = "other"
    assert sandbox.rows()[0]["customDimensions"] == {"model": "bert"}


def test_clear_forgets_what_arrived(sandbox):
    post(sandbox, [metric()])
    sandbox.clear()
    assert (sandbox.rows(), sandbox.posts(), sandbox.dropped_rows) == ([], [], 0)


def test_posts_at_the_same_time_all_arrive(sandbox):
    def send(name):
        for n in range(10):
            post(sandbox, [metric(f"{name}-{n}")])

    threads = [threading.Thread(target=send, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row["name"] for row in sandbox.rows()} == {f"{name}-{n}" for name in range(8) for n in range(10)}


def test_close_ends_open_connections_and_start_listens_at_the_same_address(sandbox):
    post(sandbox, [metric("before")])
    url = sandbox.url
    with connect(sandbox) as idle, connect(sandbox) as half:
        for connection in (idle, half):
            connection.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        half.sendall(FRAME + b"Content-Length: 99\r\n\r\n[")
        before = time.monotonic()
        sandbox.close()
        assert time.monotonic() - before < 1
        assert (ended(idle), ended(half)) == (True, True)
    with pytest.raises(ConnectionRefusedError):
        post(sandbox, [metric()])
    sandbox.start()
    post(sandbox, [metric("after")])
    assert (sandbox.url, [row["name"] for row in sandbox.rows()]) == (url, ["before", "after"])


def test_start_and_close_may_be_repeated(sandbox):
    sandbox.start()
    sandbox.close()
    sandbox.close()
    with pytest.raises(ConnectionRefusedError):
        post(sandbox, [metric()])


def test_an_address_that_is_taken_is_one_finding(sandbox):
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
        Sandbox(port=port).start()


def test_there_is_no_address_before_the_start():
    with pytest.raises(BridgeError, match="before it is started"):
        _ = Sandbox().url


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:"), ("localhost", "http://localhost:"), ("::1", "http://[::1]:")]
)
def test_the_url_can_be_reached(start, host, url):
    try:
        sandbox = start(host=host)
    except ConfigurationError:
        pytest.skip(f"this machine has no {host}")
    assert sandbox.url.startswith(url)
    assert post(sandbox, [metric()]).status == 200


def test_without_options_the_key_is_all_zeros_and_the_endpoint_ends_with_a_slash(sandbox):
    key = "00000000-0000-0000-0000-000000000000"
    assert sandbox.connection_string == f"InstrumentationKey={key};IngestionEndpoint={sandbox.url}/"


def test_serve_announces_where_it_is_and_runs_until_it_is_stopped():
    lines, announced, stop = [], threading.Event(), threading.Event()

    def announce(line):
        lines.append(line)
        if "CONNECTION_STRING" in line:
            announced.set()

    thread = threading.Thread(
        target=serve, args=("127.0.0.1", 0), kwargs={"scriptable": True, "announce": announce, "stop": stop}
    )
    thread.start()
    try:
        assert announced.wait(10)
        endpoint = lines[1].partition("IngestionEndpoint=")[2]
        assert lines[0] == f"Sandbox at {endpoint} (rows as JSON: {endpoint}_rows)"
        assert lines[1].startswith("APPLICATIONINSIGHTS_CONNECTION_STRING=InstrumentationKey=00000000-")
        connection = http.client.HTTPConnection(endpoint.removeprefix("http://").rstrip("/"), timeout=10)
        connection.request("POST", "/_script", "[]")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
