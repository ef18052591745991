"""Any Prometheus: one behind TLS, passwords, tokens and headers; and further targets beside Triton, by mounted files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from bridge.sandbox import Sandbox
from examples import stack
from tests.scripted.certificate import certificate
from tests.scripted.program import triton_bridge
from tests.scripted.serving import Answer, Asked, serving

pytestmark = pytest.mark.live

USER, PASSWORD, TOKEN, TENANT = "bridge", "correct horse", "a-token", "team a,b"
# Of that password, as htpasswd -nBC 4 makes it; Python itself has no bcrypt on every release that we run on.
BCRYPT = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"

LOOK_AT_CREDENTIALS = "look at BRIDGE_PROMETHEUS_USERNAME and _PASSWORD, _BEARER_TOKEN, or _HEADERS"

# The TensorRT service of the source documents, a DCGM exporter and a vLLM server, a few series each.
YAIS = """\
# TYPE yais_inference_request_duration_ms summary
yais_inference_request_duration_ms{model="flowers",quantile="0.5"} 253.216653
yais_inference_request_duration_ms{model="flowers",quantile="0.99"} 275.407232
yais_inference_request_duration_ms_sum{model="flowers"} 243547.558097
yais_inference_request_duration_ms_count{model="flowers"} 1000
# TYPE yais_inference_load_ratio histogram
yais_inference_load_ratio_bucket{le="1.25"} 1
yais_inference_load_ratio_bucket{le="1.5"} 1
yais_inference_load_ratio_bucket{le="2"} 1
yais_inference_load_ratio_bucket{le="10"} 9
yais_inference_load_ratio_bucket{le="100"} 253
yais_inference_load_ratio_bucket{le="+Inf"} 1000
yais_inference_load_ratio_sum 95879.013208
yais_inference_load_ratio_count 1000
# TYPE yais_gpus_power_usage gauge
yais_gpus_power_usage{gpu="0"} 52.821
# TYPE yais_executor_queue_depth gauge
yais_executor_queue_depth 0
"""
DCGM = """\
# TYPE DCGM_FI_DEV_GPU_UTIL gauge
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-1",device="nvidia0",Hostname="gpu-node"} 37
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-2",device="nvidia1",Hostname="gpu-node"} 0
"""
VLLM = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama"} 3
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="llama"} 1234
"""
FURTHER = {"yais": YAIS, "dcgm": DCGM, "vllm": VLLM}
SELECTION = {
    "yais_inference_request_duration_ms": [253.216653, 275.407232],
    "yais_inference_load_ratio_count": [1000],
    "yais_gpus_power_usage": [52.821],
    "yais_executor_queue_depth": [0],
    "DCGM_FI_DEV_GPU_UTIL": [0, 37],
    "vllm_num_requests_running": [3],
    "vllm_prompt_tokens_total": [1234],
}
NAMES = [name.replace("vllm_", "vllm:") for name in SELECTION]


@pytest.fixture(scope="module")
def exposed() -> Iterator[str]:
    """host:port where each of the further targets shows its metrics, under /NAME."""
    with serving(lambda asked: Answer(FURTHER[asked.path.strip("/")].encode())) as address:
        yield address


class GuardedPrometheus(stack.PrometheusServer):
    """A Prometheus that asks for a password over TLS, by a ``web.config.file`` of its own."""

    def __init__(self, workdir: Path, folder: Path) -> None:
        self.ca, key = certificate(workdir)
        config = workdir / "web.yml"
        config.write_text(
            yaml.safe_dump(
                {
                    "tls_server_config": {"cert_file": self.ca, "key_file": key},
                    "basic_auth_users": {USER: BCRYPT},
                }
            )
        )
        super().__init__(workdir, [f"--web.config.file={config}"], stack.free_ports(1)[0], folder)
        self.url = self.url.replace("http:", "https:")

    def ask(self, path: str, **parameters: str) -> requests.Response:
        return requests.get(f"{self.url}{path}", params=parameters, auth=(USER, PASSWORD), verify=self.ca, timeout=5)

    def is_ready(self) -> bool:
        super().is_ready()  # which raises where the process has ended, and never gets past the door
        try:
            return self.ask("/-/ready").ok
        except requests.ConnectionError:
            return False


@pytest.fixture(scope="module")
def guarded(
    exposed: str, prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedPrometheus]:
    """It scrapes the DCGM exporter, and has done so for some seconds."""
    workdir = tmp_path_factory.mktemp("guarded")

    def made() -> GuardedPrometheus:
        server = GuardedPrometheus(workdir, prometheus_folder)
        server.aim([], "1s")
        add_target(server, exposed, "dcgm")
        return server

    with stack._running(made) as server:
        query = {"query": "DCGM_FI_DEV_GPU_UTIL offset 5s"}
        stack.wait(lambda: server.ask("/api/v1/query", **query).json()["data"]["result"] != [], "no scrape", server)
        yield server


@pytest.fixture(scope="module")
def proxy(guarded: GuardedPrometheus) -> Iterator[str]:
    """The URL of a proxy before it that wants a token and names its tenants by a header."""

    def forward(asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answer(b"who are you?", 401)
        if asked.headers.get("X-Scope-OrgID") != TENANT:
            return Answer(b"not yours", 403)
        answer = guarded.ask(asked.path, **asked.query)
        return Answer(answer.content, answer.status_code, answer.headers["Content-Type"])

    with serving(forward) as address:
        yield f"http://{address}"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


Bridge = Callable[..., Any]


@pytest.fixture
def bridge(sandbox: Sandbox, tmp_path: Path) -> Bridge:
    """``bridge("once", ["a_metric"], NAME="value")``: the program with that selection, short intervals and settings."""

    def run(command: str, metrics: list[str], **given: str) -> Any:
        selection = tmp_path / "metrics.json"
        selection.write_text(json.dumps({"customMetrics": metrics}))
        return triton_bridge(
            command,
            **{
                "APPLICATIONINSIGHTS_CONNECTION_STRING": sandbox.connection_string,
                "BRIDGE_METRICS_FILE": str(selection),
                "BRIDGE_INTERVAL": "2s",
                "BRIDGE_SETTLE_DELAY": "1s",
                **given,
            },
        )

    return run


def add_target(server: stack.PrometheusServer, address: str, name: str, **labels: str) -> None:
    """What a user mounts: a target file beside ours."""
    folder = server.config / "extra" / "targets"
    folder.mkdir(parents=True, exist_ok=True)
    labels |= {"job": name, "instance": f"{name}-0", "__metrics_path__": f"/{name}"}
    labels |= {"__scrape_interval__": "1s", "__scrape_timeout__": "1s"}
    document = json.dumps([{"targets": [address], "labels": labels}])
    (folder / f"{name}-{labels.get('node', '')}.json").write_text(document)


def credentials(guarded: GuardedPrometheus, **others: str) -> dict[str, str]:
    return {
        "BRIDGE_PROMETHEUS_URL": guarded.url,
        "BRIDGE_PROMETHEUS_USERNAME": USER,
        "BRIDGE_PROMETHEUS_PASSWORD": PASSWORD,
        "BRIDGE_PROMETHEUS_CA": guarded.ca,
        **others,
    }


def values(sandbox: Sandbox) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in sandbox.rows():
        found.setdefault(row["name"], []).append(row["value"])
    return {name: sorted(each) for name, each in found.items()}


GPU = {"DCGM_FI_DEV_GPU_UTIL": SELECTION["DCGM_FI_DEV_GPU_UTIL"]}


def test_a_prometheus_behind_tls_and_a_password_is_asked(
    guarded: GuardedPrometheus, bridge: Bridge, sandbox: Sandbox
) -> None:
    checked = bridge("check", [*GPU], **credentials(guarded))
    done = bridge("once", [*GPU], **credentials(guarded))

    assert (checked.returncode, done.returncode) == (0, 0), checked.stderr + done.stderr
    assert values(sandbox) == GPU


@pytest.mark.parametrize(
    ("wrong", "reason", "remedy"),
    [
        ({"BRIDGE_PROMETHEUS_PASSWORD": "wrong-horse"}, "answered 401: Unauthorized", LOOK_AT_CREDENTIALS),
        (
            {"BRIDGE_PROMETHEUS_CA": ""},
            "cannot be reached: self-signed certificate",
            "name a PEM file with its certificate, or its issuer's, in BRIDGE_PROMETHEUS_CA",
        ),
        ({"BRIDGE_PROMETHEUS_URL": "http:"}, "answered 400: Bad Request", "look at BRIDGE_PROMETHEUS_URL"),
    ],
    ids=["password", "certificate", "scheme"],
)
def test_a_door_that_stays_shut_is_one_line_with_the_setting_that_opens_it(
    guarded: GuardedPrometheus, bridge: Bridge, sandbox: Sandbox, wrong: dict[str, str], reason: str, remedy: str
) -> None:
    given = credentials(guarded) | wrong
    given["BRIDGE_PROMETHEUS_URL"] = guarded.url.replace("https:", given["BRIDGE_PROMETHEUS_URL"].partition("/")[0])
    expected = f"Prometheus {reason} — {remedy}"
    checked, done = bridge("check", [*GPU], **given), bridge("once", [*GPU], **given)

    assert (done.returncode, done.stderr) == (1, f"error: {expected}\n")
    assert checked.returncode == 1
    assert f"failure: {given['BRIDGE_PROMETHEUS_URL']}: {expected}" in checked.stderr.splitlines()
    assert PASSWORD not in checked.stderr + done.stderr
    assert "wrong-horse" not in checked.stderr + done.stderr
    assert sandbox.rows() == []


def test_a_token_and_headers_go_with_every_question(proxy: str, bridge: Bridge, sandbox: Sandbox) -> None:
    given = {
        "BRIDGE_PROMETHEUS_URL": proxy,
        "BRIDGE_PROMETHEUS_BEARER_TOKEN": TOKEN,
        "BRIDGE_PROMETHEUS_HEADERS": "X-Scope-OrgID=team%20a%2Cb",
    }
    checked, done = bridge("check", [*GPU], **given), bridge("once", [*GPU], **given)

    assert (checked.returncode, done.returncode) == (0, 0), checked.stderr + done.stderr
    assert values(sandbox) == GPU


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"BRIDGE_PROMETHEUS_BEARER_TOKEN": "an-old-one"}, "401: Unauthorized"),
        ({"BRIDGE_PROMETHEUS_HEADERS": "X-Scope-OrgID=theirs"}, "403: Forbidden"),
    ],
    ids=["token", "header"],
)
def test_a_wrong_token_or_header_is_told_as_such(
    proxy: str, bridge: Bridge, wrong: dict[str, str], reason: str
) -> None:
    right = {"BRIDGE_PROMETHEUS_BEARER_TOKEN": TOKEN, "BRIDGE_PROMETHEUS_HEADERS": "X-Scope-OrgID=team%20a%2Cb"}
    done = bridge("once", [*GPU], BRIDGE_PROMETHEUS_URL=proxy, **(right | wrong))

    assert done.returncode == 1
    assert done.stderr == f"error: Prometheus answered {reason} — {LOOK_AT_CREDENTIALS}\n"


@pytest.fixture(scope="module")
def open_prometheus(
    exposed: str, prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[stack.PrometheusServer]:
    """One that began with our own configuration and no target; then the files came."""
    workdir = tmp_path_factory.mktemp("open")
    # As in the images: a link to a folder that is there when Prometheus starts. For others it looks every 5 minutes.
    for folder in ("prometheus", "mounted/targets"):
        (workdir / folder).mkdir(parents=True)
    (workdir / "prometheus" / "extra").symlink_to(workdir / "mounted")
    with stack.prometheus(workdir, targets=[], folder=prometheus_folder) as server:
        for name in FURTHER:
            add_target(server, exposed, name)
        add_target(server, exposed, "vllm", node="b")
        begun = time.time()
        scraped = f"count(up == 1 and timestamp(up offset 5s) > {begun})"
        stack.wait(lambda: [value for _, value in server.query(scraped)] == [4], "targets are missing", server)
        yield server


def test_further_targets_are_sent_as_they_are_scraped(
    open_prometheus: stack.PrometheusServer, bridge: Bridge, sandbox: Sandbox
) -> None:
    """The files come while Prometheus runs, with paths, intervals and labels of their own; matchers choose among them."""
    done = bridge("once", NAMES, BRIDGE_PROMETHEUS_URL=open_prometheus.url, BRIDGE_MATCH='node=""')

    assert done.returncode == 0, done.stderr
    assert values(sandbox) == SELECTION
    jobs = {row["name"].partition("_")[0].lower(): row["customDimensions"]["job"] for row in sandbox.rows()}
    assert jobs == {"yais": "yais", "dcgm": "dcgm", "vllm": "vllm"}


def test_matchers_narrow_to_one_of_two_targets(
    open_prometheus: stack.PrometheusServer, bridge: Bridge, sandbox: Sandbox
) -> None:
    given = {"BRIDGE_PROMETHEUS_URL": open_prometheus.url}
    done = [bridge("once", ["vllm:num_requests_running"], **given, BRIDGE_MATCH=match) for match in ("", 'node="b"')]
    nodes = [row["customDimensions"].get("node") for row in sandbox.rows()]

    assert [one.returncode for one in done] == [0, 0], done
    assert nodes.count("b") == 2, "once among all, once alone"
    assert nodes.count(None) == 1
