"""Takes expositions, gives a real Prometheus that scrapes them every second: what a check finds is of its answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from examples import stack
from tests.scripted.serving import Answer, Asked, serving

TRITON = """\
# TYPE nv_inference_count counter
nv_inference_count{model="bert",version="1"} 5
nv_inference_count{model="resnet",version="1"} 7
# TYPE nv_inference_request_success counter
nv_inference_request_success{model="bert",version="1"} 5
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{model="bert",version="1"} 1
# TYPE nv_inference_request_summary_us summary
nv_inference_request_summary_us{model="bert",version="1",quantile="0.5"} NaN
nv_inference_request_summary_us{model="bert",version="1",quantile="0.99"} 120
nv_inference_request_summary_us_sum{model="bert",version="1"} 50
nv_inference_request_summary_us_count{model="bert",version="1"} 5
# TYPE nv_cache_num_hits gauge
nv_cache_num_hits 9
"""
VLLM = """\
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{model_name="llama",engine="0"} 12
# TYPE vllm:requests gauge
vllm:requests{model_name="llama"} 3
# TYPE vllm_requests gauge
vllm_requests{model_name="llama"} 3
# TYPE vllm:request_params_n histogram
vllm:request_params_n_bucket{le="1"} 1
vllm:request_params_n_bucket{le="+Inf"} 2
vllm:request_params_n_sum 4
vllm:request_params_n_count 2
# TYPE a_gauge gauge
a_gauge{kind="x",gpu="0",gpu_uuid="GPU-1",team="other"} 1
a_gauge{kind="y",gpu_uuid="GPU-2"} 2
# TYPE wide gauge
wide{a="",b="1",c="1",d="1",e="1",f="1",g="1",h="1",i="1",j="1"} 1
# TYPE a_summary summary
a_summary{quantile="0.5"} 1
a_summary_sum 4
a_summary_count 2
"""
LONG = "long_" + "x" * 150
ODD = f"""\
# TYPE {LONG} gauge
{LONG} 1
# TYPE labelled gauge
labelled{{{"l" * 151}="1",value="{"v" * 8193}"}} 1
"""
UTF8 = """\
# TYPE "http/requests é" gauge
{"http/requests é"} 1
# TYPE reserved gauge
reserved{"_MS.AggregationIntervalMs"="1"} 1
"""
SIDE = """\
# TYPE side_queue gauge
side_queue 1
# TYPE side_total counter
side_total 4
# TYPE side_seconds histogram
side_seconds_bucket{{le="1"}} {n}
side_seconds_bucket{{le="+Inf"}} {n}
side_seconds_sum {n}
side_seconds_count {n}
"""
PAGES = {"triton": TRITON, "vllm": VLLM, "odd": ODD, "utf8": UTF8}


@contextmanager
def served() -> Iterator[str]:
    """host:port where each exposition stands, under /NAME. A histogram of /side observes something between all scrapes."""
    observed = count()

    def page(asked: Asked) -> Answer:
        name = asked.path.strip("/")
        body = (PAGES.get(name) or SIDE.format(n=next(observed))).encode()
        version = "1.0.0; escaping=allow-utf-8" if name == "utf8" else "0.0.4"
        return Answer(body, kind=f"text/plain; version={version}; charset=utf-8")

    with serving(page) as address:
        yield address


def add(server: stack.PrometheusServer, address: str, page: str, instance: str, **labels: str) -> None:
    """A target that shows that page, scraped every second."""
    folder = server.config / "extra" / "targets"
    folder.mkdir(parents=True, exist_ok=True)
    given = {
        "__metrics_path__": f"/{page}",
        "__scrape_interval__": "1s",
        "__scrape_timeout__": "1s",
        "instance": instance,
        "job": page,
        **labels,
    }
    document = [{"targets": [address], "labels": given}]
    (folder / f"{page}-{instance.replace(':', '-')}.json").write_text(json.dumps(document))


@contextmanager
def prometheus(workdir: Path, folder: Path) -> Iterator[stack.PrometheusServer]:
    """Two Tritons in pods, a vLLM, pages of odd names, and two targets that differ in a loopback address alone."""

    def made() -> stack.PrometheusServer:
        server = stack.PrometheusServer(workdir, [], stack.free_ports(1)[0], folder)
        server.aim([], "1s")
        # Before it starts: it watches no folder that is not there.
        add(server, address, "triton", "triton-0:8002", pod="triton-0", namespace="ml")
        add(server, address, "triton", "triton-1:8002", pod="triton-1", namespace="ml")
        add(server, address, "vllm", "vllm:8000")
        add(server, address, "odd", "odd:1")
        add(server, address, "side", "127.0.0.1:1")
        add(server, address, "side", "127.0.0.1:2")
        return server

    with served() as address, stack._running(made) as server:
        is_3 = server.api("status/buildinfo")["version"].startswith("3")
        if is_3:  # to others that page is none
            add(server, address, "utf8", "utf8:1")
        stack.wait(lambda: len(server.query("up offset 7s")) == 6 + is_3, "targets are missing", server)
        yield server
