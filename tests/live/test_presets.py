"""Every ready-made selection, with a real Triton under traffic: all that it can send arrives, and nothing is rejected."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.sandbox import Sandbox
from bridge.selection import Mode, load, parse
from examples import stack, traffic
from tests.scripted.program import triton_bridge

pytestmark = pytest.mark.live

PRESETS = sorted((Path(__file__).parents[2] / "config" / "presets").glob("*.json"))
FLAGS = ["--metrics-config=summary_latencies=true", "--cache-config=local,size=1048576"]
RECORDED_LAST = "nv_inference_load_ratio"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.PrometheusServer]:
    """A Prometheus before a Triton with summaries and a cache, after some requests."""
    workdir = tmp_path_factory.mktemp("presets")
    models = shutil.copytree(stack.MODELS, workdir / "repository")
    shutil.copytree(models / "ident", models / "cached")
    with (models / "cached" / "config.pbtxt").open("a") as config:
        config.write("response_cache { enable: true }\n")
    with (
        stack.triton(workdir, models=models, extra_flags=FLAGS) as triton,
        stack.prometheus(workdir, targets=[triton.metrics], scrape_interval="1s") as prometheus,
    ):
        stack.wait(lambda: bool(prometheus.query("nv_inference_request_success")), "no scrape", prometheus)
        for model in ("ident", "cached"):
            traffic.send(triton.http, model, 20)
        stack.wait(lambda: len(prometheus.query(f"{RECORDED_LAST} > 0")) > 0, "no rule was evaluated", prometheus)
        scrapes = "count_over_time(up[1m]) > 20"  # two intervals of 10 s
        stack.wait(lambda: len(prometheus.query(scrapes)) > 0, "too few scrapes", prometheus)
        yield prometheus


def environment(prometheus: stack.PrometheusServer, sandbox: Sandbox, file: Path, state: Path) -> dict[str, str]:
    return {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": sandbox.connection_string,
        "BRIDGE_PROMETHEUS_URL": prometheus.url,
        "BRIDGE_METRICS_FILE": str(file),
        "BRIDGE_STATE_DIR": str(state),
        "BRIDGE_INTERVAL": "10s",
        "BRIDGE_SETTLE_DELAY": "1s",
    }


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.stem)
def test_a_preset_sends_all_that_is_there_and_nothing_is_rejected(
    preset: Path, prometheus: stack.PrometheusServer, tmp_path: Path
) -> None:
    present = {labels["__name__"] for labels, _ in prometheus.query('{__name__!=""}')}
    expected = {entry.name for entry in load(preset).entries if present & set(entry.parts(entry.metric or ""))}

    with Sandbox() as sandbox:
        done = triton_bridge("once", **environment(prometheus, sandbox, preset, tmp_path))
        arrived = {row["name"] for row in sandbox.rows()}

    assert (done.returncode, "rejected" in done.stderr) == (0, False), done.stderr
    assert arrived == expected if preset.stem != "gpu" else not arrived  # there is no GPU


def test_the_selection_that_the_catalog_writes_sends_all_that_is_there(
    prometheus: stack.PrometheusServer, tmp_path: Path
) -> None:
    file = tmp_path / "metrics.json"
    with Sandbox() as sandbox:
        settings = environment(prometheus, sandbox, file, tmp_path / "state")
        file.write_text('{"customMetrics": ["up"]}')
        written_one = triton_bridge("catalog", "nv_*", "--snippet", **settings).stdout
        file.write_text(written_one)
        done = triton_bridge("once", **settings)
        arrived = {row["name"] for row in sandbox.rows()}

    assert done.returncode == 0, done.stderr
    assert arrived == {entry.name for entry in parse(written_one).entries}
    assert {Mode.INCREASE, Mode.VALUE} <= {entry.mode for entry in parse(written_one).entries}
