"""Real Prometheus before a real Triton: the shipped configuration does what it says, and the traffic is what it says."""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from bridge.prometheus import Prometheus
from bridge.triton import EXPOSED, Kind, recorded
from examples import stack, traffic
from tools import targets

pytestmark = pytest.mark.live

RELEASES = {"2.51.0": "24.10"}
FLAGS = ["--metrics-config=summary_latencies=true", "--cache-config=local,size=1048576"]
RECORDED = '{__name__=~"' + "|".join(rule.name for rule in recorded()) + '"}'


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.TritonServer]:
    """Triton with everything that this release can expose without a GPU."""
    workdir = tmp_path_factory.mktemp("triton")
    models = shutil.copytree(stack.MODELS, workdir / "repository")
    shutil.copytree(models / "ident", models / "cached")
    with (models / "cached" / "config.pbtxt").open("a") as config:
        config.write("response_cache { enable: true }\n")
    with stack.triton(workdir, models=models, extra_flags=FLAGS) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(
    triton: stack.TritonServer, prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[stack.PrometheusServer]:
    """Each Prometheus, scraping that Triton each second."""
    workdir = tmp_path_factory.mktemp("prometheus")
    with stack.prometheus(workdir, targets=[triton.metrics], scrape_interval="1s", folder=prometheus_folder) as running:
        yield running


def test_every_rule_is_loaded_and_evaluated(prometheus: stack.PrometheusServer) -> None:
    def rules() -> dict[str, str]:
        groups = prometheus.api("rules")["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}

    stack.wait(lambda: "unknown" not in rules().values(), "rules were not evaluated", prometheus)

    assert {rule.name: "ok" for rule in recorded()} == rules()


def test_the_bridge_reads_what_this_prometheus_says_of_itself(
    triton: stack.TritonServer, prometheus: stack.PrometheusServer
) -> None:
    client = Prometheus(prometheus.url)
    stack.wait(lambda: [target.health for target in client.targets()] == ["up"], "no scrape", prometheus)

    [target] = client.targets()
    assert (target.instance, target.scrape_interval, target.scrape_timeout) == (triton.metrics, 1.0, 1.0)
    assert client.lookback() == 35.0
    assert client.version() == prometheus.api("status/buildinfo")["version"]
    assert {(rule.record, rule.interval) for rule in client.rules()} == {(known.name, 5.0) for known in recorded()}
    assert abs(client.now() - time.time()) < 5
    assert names(triton) <= client.names()
    client.close()


def test_all_that_this_triton_can_feed_is_recorded(
    triton: stack.TritonServer, prometheus: stack.PrometheusServer
) -> None:
    exposed = names(triton)
    fed = {rule.name for rule in recorded() if exposed.issuperset(rule.sources)}
    assert {rule.name for rule in recorded()} - fed <= {"nv_energy_consumption_irate"}, "only energy needs a GPU"

    def busy() -> bool:
        for model in ("ident", "scorer"):
            assert traffic.send(triton.http, model, 5) == 5
        found = {labels["__name__"]: value for labels, value in prometheus.query(f"max by (__name__) ({RECORDED})")}
        return found.get("nv_inference_count_irate", 0) > 0 and fed <= set(found)

    stack.wait(busy, "not all is recorded under traffic", prometheus)
    rows = prometheus.query(RECORDED)

    assert fed == {labels["__name__"] for labels, _ in rows}
    assert [(labels, value) for labels, value in rows if not (math.isfinite(value) and value >= 0)] == []
    assert {"ident", "scorer", "cached"} == {labels["model"] for labels, _ in rows}


def test_load_is_one_or_more_under_traffic_and_nothing_for_a_model_without(
    triton: stack.TritonServer, prometheus: stack.PrometheusServer
) -> None:
    """A request takes the time of computing it, and some more."""

    def loads() -> dict[str, float]:
        assert traffic.send(triton.http, "ident", 5) == 5
        return {labels["model"]: value for labels, value in prometheus.query("nv_inference_load_ratio")}

    stack.wait(lambda: loads().get("ident", 0) > 0, "no load under traffic", prometheus)

    assert loads()["ident"] >= 1
    assert loads()["cached"] == 0


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("model", ["ident", "scorer"])
def test_what_was_sent_is_what_triton_counted(triton: stack.TritonServer, protocol: str, model: str) -> None:
    def counted() -> tuple[float, float]:
        requests = triton.counter("nv_inference_request_success", model=model)
        return requests, triton.counter("nv_inference_count", model=model)

    before = counted()
    succeeded = traffic.send(getattr(triton, protocol), model, 20, batch=3)
    # Triton may answer first and count then.
    stack.wait(lambda: counted()[1] - before[1] >= 60, "Triton counts fewer", triton, seconds=5)

    assert succeeded == 20
    assert tuple(after - earlier for after, earlier in zip(counted(), before, strict=True)) == (20.0, 60.0)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_request_that_fails_is_not_counted_as_one_that_succeeded(triton: stack.TritonServer, protocol: str) -> None:
    assert traffic.send(getattr(triton, protocol), "nobody", 2) == 0


def test_what_triton_exposes_is_known(triton: stack.TritonServer) -> None:
    known = {metric.name: (metric.kind.value, set(metric.labels)) for metric in EXPOSED}

    found = {
        family.name: (family.type, {label for sample in family.samples for label in sample.labels})
        for family in families(triton)
    }

    assert {name: known.get(name) for name in found} == found


def test_what_this_release_should_expose_is_there(triton: stack.TritonServer) -> None:
    elsewhere = ("a GPU", "vLLM", "TensorRT")

    assert {metric.name for metric in EXPOSED if metric.since <= release(triton)} - {
        metric.name for metric in EXPOSED if metric.enabled_by.startswith(elsewhere)
    } <= {family.name for family in families(triton)}


def test_without_a_flag_there_is_what_needs_none(tmp_path: Path) -> None:
    with stack.triton(tmp_path) as plain:
        assert {family.name for family in families(plain) if family.samples} == {
            metric.name for metric in EXPOSED if not metric.enabled_by and metric.since <= release(plain)
        }


def test_a_summary_has_sum_and_count(triton: stack.TritonServer) -> None:
    exposed = names(triton)
    summaries = {metric.name for metric in EXPOSED if metric.kind is Kind.SUMMARY and metric.name in exposed}

    assert summaries
    assert {f"{name}_{part}" for name in summaries for part in ("sum", "count")} <= exposed


def test_of_a_triton_that_died_nothing_is_recorded(tmp_path: Path, prometheus_folder: Path) -> None:
    """Without the guard in the rules they would stand for the rest of the window, a minute."""
    with (
        stack.triton(tmp_path) as triton,
        stack.prometheus(
            tmp_path, targets=[triton.metrics], scrape_interval="1s", folder=prometheus_folder
        ) as prometheus,
    ):
        stack.wait(lambda: prometheus.query(RECORDED) != [], "nothing recorded", prometheus)

        triton.kill()
        stack.wait(lambda: prometheus.query(RECORDED) == [], "what is recorded outlives Triton", prometheus, seconds=20)
        assert [value for _, value in prometheus.query("up")] == [0.0]


def test_prometheus_takes_every_interval_with_its_time_out(tmp_path: Path, prometheus_folder: Path) -> None:
    wanted = {"1s": "1s", "2500ms": "2500ms", "30s": "4s"}
    folder = tmp_path / "prometheus" / "extra" / "targets"
    folder.mkdir(parents=True)
    for interval in wanted:
        (folder / f"{interval}.json").write_text(json.dumps(targets.document("127.0.0.1:9", interval)))

    def active() -> dict[str, str]:
        found = prometheus.api("targets", state="active")["activeTargets"]
        return {target["scrapeInterval"]: target["scrapeTimeout"] for target in found}

    with stack.prometheus(tmp_path, targets=[], folder=prometheus_folder) as prometheus:
        stack.wait(lambda: len(active()) == len(wanted), "targets are missing", prometheus)

        assert active() == wanted


def test_rules_and_targets_of_the_user_work_beside_ours(tmp_path: Path, prometheus_folder: Path) -> None:
    [port] = stack.free_ports(1)
    extra = tmp_path / "prometheus" / "extra"
    for folder in ("rules", "targets"):
        (extra / folder).mkdir(parents=True)
    (extra / "rules" / "own.yml").write_text(
        "groups: [{name: own, rules: [{record: own:up, expr: 'up{job=\"own\"}'}]}]"
    )
    labels = {"job": "own", "__scrape_interval__": "1s", "__scrape_timeout__": "1s"}
    (extra / "targets" / "own.json").write_text(json.dumps([{"targets": [f"127.0.0.1:{port}"], "labels": labels}]))

    with stack.prometheus(tmp_path, targets=[], port=port, folder=prometheus_folder) as prometheus:
        stack.wait(lambda: prometheus.query("own:up == 1") != [], "no series of the own rule", prometheus)


def test_rules_that_prometheus_refuses_are_an_error(tmp_path: Path, prometheus_folder: Path) -> None:
    with stack.prometheus(tmp_path, targets=[], folder=prometheus_folder) as prometheus:
        (prometheus.config / "rules" / "triton.yml").write_text(
            "groups: [{name: broken, rules: [{record: x, expr: '('}]}]"
        )

        with pytest.raises(stack.StackError, match="refuses its configuration"):
            prometheus.reload()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    models = shutil.copytree(stack.MODELS, tmp_path / "repository")
    (models / "ident" / "config.pbtxt").write_text("no configuration")

    with (
        pytest.raises(stack.StackError, match=r"Triton ended with 1(.|\n)*failed to load all models"),
        stack.triton(tmp_path, models=models),
    ):
        pytest.fail("it started")


def test_nothing_runs_after_the_block(tmp_path: Path) -> None:
    with stack.prometheus(tmp_path, targets=[]) as prometheus:
        pass

    assert prometheus.process is not None
    assert prometheus.process.poll() == 0
    with pytest.raises(OSError, match="refused"):
        stack.get(f"{prometheus.url}/-/ready")


def release(triton: stack.TritonServer) -> str:
    """Its container release, as EXPOSED has it."""
    version = json.loads(stack.get(f"{triton.http}/v2"))["version"]
    if version not in RELEASES:
        pytest.skip(f"the container release of Triton {version} is not known here")
    return RELEASES[version]


def families(triton: stack.TritonServer) -> list[Metric]:
    return list(text_string_to_metric_families(triton.exposition()))


def names(triton: stack.TritonServer) -> set[str]:
    """The names of the series as Triton writes them; the parser adds ``_total`` to counters."""
    return set(re.findall(r"^[\w:]+", triton.exposition(), re.MULTILINE))
