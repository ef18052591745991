"""What breaks in a container: each process, the key, the selection. Triton serves on."""

from __future__ import annotations

import json
import re
from pathlib import Path

from examples import stack
from tests.image.azure import (
    BRIDGE,
    FAST,
    MODELS,
    PROMETHEUS,
    SELECTION,
    SUCCESSES,
    Azure,
    counted,
    mounted,
    put,
    samples,
    send,
    status,
    trickle,
    wait_for,
    wait_hurried,
    wait_scraped,
)
from tests.image.conftest import Images
from tests.image.engine import KEY, Engine, environment

TIMES = 10
READY = ("status page at", "Server is ready")  # the bridge, Prometheus
BACK_OFF = [1, 2, 4, 8, *[15] * (TIMES - 4)]  # seconds, docker/services/again
THREE_WAYS = ("APPLICATIONINSIGHTS_CONNECTION_STRING", "INSTRUMENTATION_KEY", "BRIDGE_SANDBOX")


# -- each process ------------------------------------------------------------------------------------------------------


def test_bridge_and_prometheus_killed_ten_times_come_back_and_triton_answers_all_the_while(
    engine: Engine, images: Images, azure: Azure, tmp_path: Path
) -> None:
    """Back-offs of more than 2 s are cut short; that they were ordered is read from the log."""
    with engine.container(images.bundle, options=[*azure.options, *FAST, MODELS, mounted(tmp_path)]) as bundle:
        bundle.wait_ready()
        triton = bundle.pids("tritonserver")
        wait_scraped(bundle)
        kept: set[tuple[float, float]] = set()
        with trickle(bundle) as tally:
            azure.wait_shown(1, bundle)
            for turn in range(TIMES):
                for ready in READY:
                    wait_hurried(bundle, ready, times=turn + 1)
                kept.update(samples(bundle))
                bundle.kill(BRIDGE)
                bundle.kill(PROMETHEUS)
            for ready in READY:
                wait_hurried(bundle, ready, times=TIMES + 1)
        log = bundle.log

        assert (tally.sent, tally.sent > 10 * TIMES) == (tally.succeeded, True)
        assert counted(bundle) == tally.succeeded
        assert bundle.pids("tritonserver") == triton
        for name in ("bridge", "prometheus"):
            ordered = re.findall(f"{name} ended by signal 9; it is started again in (.*) s", log)
            assert [int(seconds) for seconds in ordered] == BACK_OFF
        assert kept <= set(samples(bundle)), "what Prometheus held before a kill, it holds after it"

        azure.wait_delivered(tally.succeeded + send(bundle, 23), bundle)
        assert azure.delivered()[1] <= status(bundle)["possibly_repeated"]


def test_triton_killed_ten_times_ends_ten_containers(engine: Engine, images: Images) -> None:
    """In turn: as soon as it exists, and when it is ready."""
    codes = []
    for turn in range(TIMES):
        with engine.container(images.bundle, options=environment(BRIDGE_SANDBOX="1")) as bundle:
            wait_for(lambda: bundle.pids("tritonserver") != [], "no Triton", bundle)
            if turn % 2:
                bundle.wait_ready()
            bundle.kill("tritonserver")
            codes.append(bundle.exit_code(seconds=15))

    assert codes == [137] * TIMES


# -- what it is told ---------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_told_and_nothing_else_happens(engine: Engine, images: Images, tmp_path: Path) -> None:
    serve = (
        "import threading; from bridge.sandbox import Sandbox\n"
        f"Sandbox('0.0.0.0', 9465, keys=['{KEY}']).start(); print('open', flush=True); threading.Event().wait()\n"
    )
    command = ["/opt/bridge/bin/python", "-c", serve]
    with engine.network() as network:
        at = [f"--network={network}", "--network-alias=sandbox"]
        with engine.container(images.sidecar, *command, options=at) as endpoint:
            endpoint.wait("open")
            string = f"InstrumentationKey={KEY.replace('0a', '0b')};IngestionEndpoint=http://sandbox:9465/"
            azure = Azure(endpoint, network, string)
            options = [*azure.options, *FAST, MODELS, mounted(tmp_path)]
            with engine.container(images.bundle, options=options) as bundle:
                bundle.wait_ready()
                alive = [bundle.pids(each) for each in (BRIDGE, PROMETHEUS, "tritonserver")]
                bundle.wait("Invalid instrumentation key")
                wait_for(lambda: status(bundle)["state"] == "misconfigured", "the status does not say so", bundle)

                found = status(bundle)
                assert "Invalid instrumentation key" in found["detail"]
                assert "Invalid instrumentation key" in bundle.get(9464, "/")
                assert [bundle.pids(each) for each in (BRIDGE, PROMETHEUS, "tritonserver")] == alive
                assert "started again" not in bundle.log
                assert (send(bundle, 3), azure.shown()) == (3, 0)


def test_without_a_key_each_try_names_the_ways_to_give_one_and_a_secret_that_comes_is_taken(
    engine: Engine, images: Images, azure: Azure, tmp_path: Path
) -> None:
    """The secret stands nowhere: not in the log, in no process title, on no page."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    key = "5ec4e700-1111-2222-3333-444444444444"
    network, debug = azure.options[0], environment(BRIDGE_LOG_LEVEL="debug")
    options = [network, *FAST, *debug, MODELS, f"--volume={secrets}:/run/secrets:ro", mounted(tmp_path / "selection")]
    with engine.container(images.bundle, options=options) as bundle:
        bundle.wait_ready()
        bundle.wait("bridge ended with exit code 2; it is started again in 60 s")
        send(bundle, 3)
        wait_hurried(bundle, "no resource is named to post to", times=2)
        told = [line for line in bundle.lines if "error:" in line]
        put(secrets / "APPLICATIONINSIGHTS_CONNECTION_STRING", azure.string.replace(KEY, key))
        wait_hurried(bundle, "status page at")
        azure.wait_row(SUCCESSES)

        assert len(told) == 2
        assert all(way in line for way in THREE_WAYS for line in told)
        titles = bundle.exec("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        pages = [bundle.get(9464, path) for path in ("/", "/status.json", "/metrics")]
        assert BRIDGE in titles
        for text in (bundle.log, titles, *pages):
            assert key not in text.lower()


def test_a_required_bridge_without_a_selection_is_the_end(engine: Engine, images: Images, tmp_path: Path) -> None:
    options = [mounted(tmp_path, "{"), *environment(BRIDGE_REQUIRED="1", BRIDGE_SANDBOX="1")]
    for image in images:
        with engine.container(image, options=options) as container:
            assert container.exit_code() == 2
            assert "metrics.json: line 1 column 2: not JSON" in container.log


def test_a_broken_selection_is_told_with_its_place_and_taken_when_mended(
    engine: Engine, images: Images, azure: Azure, tmp_path: Path
) -> None:
    """Broken at the start: tried again. Broken while it runs: the last good one is sent."""
    broken = '{"customMetrics": ["nv_cpu_utilization", {"metric": "nv inference"}]}'
    place = "customMetrics[1].metric: 'nv inference' cannot be the name of a metric"
    with engine.container(images.bundle, options=[*azure.options, *FAST, mounted(tmp_path, broken)]) as bundle:
        bundle.wait(f"bridge     | error: metrics.json: {place}")
        bundle.wait("bridge ended with exit code 2; it is started again in 60 s")
        bundle.wait_ready()

        put(tmp_path / "metrics.json", json.dumps(SELECTION))
        wait_hurried(bundle, "status page at")
        azure.wait_row("nv_cpu_utilization")

        put(tmp_path / "metrics.json", broken)
        wait_for(lambda: status(bundle)["selection_problems"] != [], "it is not told", bundle)
        arrived = azure.number("nv_cpu_utilization")
        stack.wait(lambda: azure.number("nv_cpu_utilization") > arrived, "the last good one is not sent", seconds=20)
        assert place in status(bundle)["selection_problems"][0]

        put(tmp_path / "metrics.json", '{"customMetrics": [{"metric": "nv_cpu_utilization", "name": "renamed"}]}')
        azure.wait_row("renamed")
        assert status(bundle)["selection_problems"] == []
        assert bundle.log.count("started again") == 1
