"""What Triton counted in a container is what Azure would show, from its first request to its last."""

from __future__ import annotations

import json
import time
from pathlib import Path

from examples import stack, traffic
from tests.image.conftest import Images
from tests.image.engine import Container, Engine, environment, rows, sandbox
from tests.scripted.certificate import certificate

GLOBAL = "dc.services.visualstudio.com"  # where a key alone posts to
SELECTION = {"customMetrics": [{"metric": "nv_inference_request_success", "mode": "increase", "name": "requests"}]}


def requests(endpoint: Container) -> float:
    """What Azure would show."""
    return sum(row["valueSum"] for row in rows(endpoint) if row["name"] == "requests")


def test_every_request_of_two_lives_is_counted_once(engine: Engine, images: Images, tmp_path: Path) -> None:
    """Over HTTP and gRPC, from the moment that Triton is ready, through a stop in mid-interval and a second start."""
    (tmp_path / "metrics.json").write_text(json.dumps(SELECTION))
    (tmp_path / "metrics.json").chmod(0o644)
    tmp_path.chmod(0o755)
    with (
        engine.network() as network,
        engine.volume() as state,
        sandbox(engine, images.sidecar, network) as (endpoint, string),
    ):
        options = [
            f"--network={network}",
            f"--volume={state}:/var/lib/bridge",
            f"--volume={stack.MODELS}:/models:ro",
            f"--volume={tmp_path}:/etc/bridge:ro",
            *environment(APPLICATIONINSIGHTS_CONNECTION_STRING=string, BRIDGE_INTERVAL="10s"),
        ]
        sent, seen = 0, []
        for life in range(2):
            with engine.container(images.bundle, options=options) as bundle:
                bundle.wait("its counts begin at zero")
                bundle.wait_ready()
                # At once: before Prometheus has scraped anything.
                sent += traffic.send(f"http://{bundle.address(8000)}", "ident", 30)
                sent += traffic.send(f"grpc://{bundle.address(8001)}", "scorer", 20)
                if life == 0:  # the second life is shorter than a scrape interval
                    stack.wait(lambda: requests(endpoint) == 50, "the requests do not arrive", seconds=60)
                    sent += traffic.send(f"http://{bundle.address(8000)}", "ident", 13)
                seconds = bundle.stop()
                seen.append((requests(endpoint), bundle.exit_code(), seconds < 10))

    assert sent == 113
    assert seen == [(63, 0, True), (113, 0, True)], bundle.name


def test_the_documented_line_is_all_that_it_takes(engine: Engine, images: Images, tmp_path: Path) -> None:
    """No mounts but the authority's certificate; the global endpoint's name is the sandbox's in that network."""
    _, key = certificate(tmp_path, GLOBAL)
    tmp_path.chmod(0o755)
    Path(key).chmod(0o644)
    serve = (
        "import time; from bridge.sandbox import Sandbox\n"
        "box = Sandbox('0.0.0.0', 443, certificate=('/tls/certificate.pem', '/tls/key.pem'))\n"
        "box.start(); print('open', flush=True)\n"
        "while True:\n"
        "    time.sleep(0.2)\n"
        "    for row in box.rows(): print(row['name'], row['value'], flush=True)\n"
        "    box.clear()\n"
    )
    tls = f"--volume={tmp_path}:/tls:ro"
    with engine.network() as network:
        at = [f"--network={network}", f"--network-alias={GLOBAL}", "--user=0", tls]
        with engine.container(images.sidecar, "/opt/bridge/bin/python", "-c", serve, options=at) as azure:
            azure.wait("open")
            given = [f"--network={network}", tls, "--env", "REQUESTS_CA_BUNDLE=/tls/certificate.pem"]
            line = "--rm -p8000:8000 -p8001:8001 -p8002:8002 -p 9090:9090 --env INSTRUMENTATION_KEY=<key>"
            wanted = line.replace("<key>", "11111111-2222-3333-4444-555555555555").split()
            with engine.container(images.bundle, options=[*given, *wanted]) as bundle:
                azure.wait("nv_cpu_utilization", seconds=120)
                answer = json.loads(stack.get("http://localhost:9090/api/v1/query?query=nv_cpu_utilization"))
                log = bundle.log

    (row,) = answer["data"]["result"]
    assert answer["status"] == "success"
    assert 0 <= float(row["value"][1]) <= 1
    assert "which Azure no longer supports" in log


def test_an_end_at_any_moment_of_the_start_is_orderly(engine: Engine, images: Images) -> None:
    """Before Python listens, before Triton does, and after: docker stop never has to kill."""
    ends = []
    for moment in (0.0, 0.3, 1.0, 2.5):
        with engine.container(images.bundle, options=environment(BRIDGE_SANDBOX="1")) as bundle:
            time.sleep(moment)  # not a wait for anything: the moment itself is what differs
            seconds = bundle.stop()
            ends.append((bundle.exit_code() != 137, seconds < 10))

    assert ends == [(True, True)] * 4
