"""Triton's metrics port: a complete text, a closed port, or neither."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bridge.exposition import MetricsPort, Unreadable, samples, scraped_labels
from bridge.watch import Closing, opening
from examples.stack import free_ports

TEXT = """# HELP nv_inference_request_success Number of successful inference requests
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="ident",version="1"} 7
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{model="a \\"b\\" # c",empty=""} 1e+22
# TYPE nv_inference_queue_summary_us summary
nv_inference_queue_summary_us{quantile="0.5"} Nan
nv_inference_queue_summary_us_sum 12.5
nv_cpu_utilization 0.25
"""


def test_samples_bear_the_names_that_prometheus_gives_them() -> None:
    """No _total is added to a counter, as OpenMetrics would have it; a label without a value is none."""
    assert list(samples(TEXT)) == [
        ({"__name__": "nv_inference_request_success", "model": "ident", "version": "1"}, "7"),
        ({"__name__": "vllm:prompt_tokens_total", "model": 'a "b" # c'}, "1e+22"),
        ({"__name__": "nv_inference_queue_summary_us", "quantile": "0.5"}, "NaN"),
        ({"__name__": "nv_inference_queue_summary_us_sum"}, "12.5"),
        ({"__name__": "nv_cpu_utilization"}, "0.25"),
    ]


def test_what_is_no_exposition_is_said_to_be_none() -> None:
    with pytest.raises(Unreadable, match="no exposition"):
        list(samples("<html>moved</html>"))


def test_a_target_s_own_labels_win() -> None:
    target = {"job": "triton", "instance": "127.0.0.1:8002"}

    assert scraped_labels({"__name__": "c", "job": "mine", "model": "a"}, target) == {
        "__name__": "c",
        "exported_job": "mine",
        "model": "a",
        **target,
    }


Serve = Callable[[bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A port that answers with these very bytes after the status line."""
    servers = []

    def start(rest: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.wfile.write(b"HTTP/1.1 " + rest)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def reply(body: str, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {size}\r\n\r\n{body}".encode()


def test_a_complete_answer_is_given(serve: Serve) -> None:
    assert MetricsPort(serve(reply(TEXT))).read() == TEXT


def test_no_proxy_stands_between(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    (nobody,) = free_ports(1)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{nobody}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    assert MetricsPort(serve(reply(TEXT))).read() == TEXT


@pytest.mark.parametrize(
    "answer", [reply(TEXT, len(TEXT) + 1), b"503 Busy\r\nContent-Length: 0\r\n\r\n", b"", b"nonsense\r\n\r\n"]
)
def test_an_incomplete_answer_is_none(serve: Serve, answer: bytes) -> None:
    with pytest.raises(Unreadable):
        MetricsPort(serve(answer)).read()


def test_a_closed_port_is_told_from_a_silent_one() -> None:
    (port,) = free_ports(1)
    assert MetricsPort(f"127.0.0.1:{port}").read() is None

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(Unreadable):
        MetricsPort(f"127.0.0.1:{silent.getsockname()[1]}", timeout=0.05).read()


class Port(MetricsPort):
    """A port that was prescribed: what each look finds."""

    def __init__(self, *looks: str | Unreadable | None) -> None:
        self.looks = list(looks)

    def read(self) -> str | None:
        look = self.looks.pop(0)
        if isinstance(look, Unreadable):
            raise look
        return look


class Time:
    """A clock that moves by what is waited."""

    now = 100.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> bool:
        self.now += seconds
        return self.now > 110


def test_the_opening_is_the_last_time_that_the_port_was_closed() -> None:
    time = Time()

    assert opening(Port(None, None, Unreadable("slow"), TEXT), time, time.pause) == 100.5


def test_a_triton_that_was_there_before_tells_of_no_opening() -> None:
    time = Time()

    assert opening(Port(Unreadable("slow"), TEXT), time, time.pause) is None
    assert opening(Port(*[None] * 100), time, time.pause) is None, "given up"


def test_the_last_complete_look_at_each_series_is_kept() -> None:
    """A draining Triton takes away the series of a model that it has unloaded."""
    time = Time()
    looks = ['# TYPE c counter\nc{model="a b"} 1\ng 1\n', 'c{model="a b"} 2\ng 2\n', "g 3\n", Unreadable("half"), None]
    closing = Closing(Port(*looks), time, time.pause)
    closing.run()

    assert closing.newest == (100.5, 'c{model="a b"} 2\ng 3\n')
    assert closing.gone.is_set()
    assert closing.looked.is_set()
