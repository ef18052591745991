"""The dashboard: of the form that Grafana imports, and every expression gives data on the shipped Prometheus.

Triton, Prometheus and the bridge are real. No GPU and no language model is at hand: what they would expose is written
into Prometheus, with the labels and kinds of ``bridge.triton``; such panels are named here.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox import Sandbox
from bridge.triton import EXPOSED, Exposed, Kind
from examples import stack, traffic
from tests.remote_write import Written, receiver, write
from tests.scripted.program import Daemon
from tools.grafana import DASHBOARD, text

BOARD = json.loads(DASHBOARD.read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel for panel in BOARD["panels"] if panel["type"] != "row"}
VARIABLES = {one["name"]: one for one in BOARD["templating"]["list"]}
EXPRESSIONS = {
    f"{title} {target['refId']}": target["expr"] for title, panel in PANELS.items() for target in panel["targets"]
}

NO_GPU = "needs a GPU"
NO_MODEL = "needs a backend for language models"
TOO_OLD = "needs Triton 24.11"
WRITTEN = {
    "GPU utilization": NO_GPU,
    "GPU memory": NO_GPU,
    "GPU power": NO_GPU,
    "Time to the first token": NO_MODEL,
    "Tokens": NO_MODEL,
    "KV cache in use": NO_MODEL,
    "Time to the first response": TOO_OLD,
}
"""The panels that this machine's Triton cannot feed, and why."""

FLAGS = ["--metrics-config=summary_latencies=true", "--cache-config=local,size=1048576"]
STEP, STEPS = 5, 12  # seconds between two samples that are written, and how many


def test_what_is_checked_in_is_what_the_table_gives() -> None:
    """``python -m tools.grafana`` writes it."""
    assert DASHBOARD.read_text(encoding="utf-8") == text()


def test_panels_have_numbers_and_places_of_their_own() -> None:
    cells = [
        (x, y)
        for panel in BOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    numbers = [panel["id"] for panel in BOARD["panels"]]

    assert len(set(numbers)) == len(numbers)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_datasource_model_and_instance_can_be_chosen() -> None:
    assert list(VARIABLES) == ["datasource", "instance", "model", "bridge"]
    assert {panel["datasource"]["uid"] for panel in PANELS.values()} == {"${datasource}"}
    assert {target["datasource"]["uid"] for panel in PANELS.values() for target in panel["targets"]} == {
        "${datasource}"
    }


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_selector_obeys_what_is_chosen(name: str) -> None:
    """Each names a Triton or a bridge, and a model where its metric has one."""
    labels = {metric.name: metric.labels for metric in EXPOSED}

    selectors = re.findall(r"([\w:]+)\{([^}]*)\}", EXPRESSIONS[name])

    assert selectors != []
    for metric, matchers in selectors:
        bridge = metric.startswith("triton_bridge_")
        assert f'instance=~"${"bridge" if bridge else "instance"}"' in matchers
        assert "model" not in labels.get(metric, ()) or 'model=~"$model"' in matchers


def filled(expression: str) -> str:
    """An expression as Grafana asks it, with everything chosen."""
    for name, value in {"$__rate_interval": "20s", "$instance": ".*", "$model": ".*", "$bridge": ".*"}.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def series(metric: Exposed, until: float) -> Iterator[Written]:
    """A minute of what a metric would be: a gauge of one half, a counter that gains, a histogram of three buckets."""
    values = {"model": "llm", "version": "1", "gpu_uuid": "GPU-1", "kv_cache_block_type": "fraction"}
    labels = {"instance": "gpu:8002", "job": "triton"}
    labels |= {label: values.get(label, "any") for label in metric.labels if label != "le"}
    times = [until - STEP * (STEPS - number) for number in range(1, STEPS + 1)]

    def written(name: str, share: float, **more: str) -> Written:
        gained = ((moment, share * number) for number, moment in enumerate(times, start=1))
        flat = ((moment, share) for moment in times)
        return {"__name__": name, **labels, **more}, list(flat if metric.kind is Kind.GAUGE else gained)

    if metric.kind is Kind.HISTOGRAM:
        for bound, share in {"0.1": 10.0, "0.5": 50.0, "+Inf": 60.0}.items():
            yield written(f"{metric.name}_bucket", share, le=bound)
    else:
        yield written(metric.name, 0.5)


@dataclass
class Asked:
    """A Prometheus that holds everything, and the time (epoch s) at which it does."""

    prometheus: stack.PrometheusServer
    at: float

    def __call__(self, expression: str) -> list[float]:
        return [value for _, value in self.prometheus.query(filled(expression), time=self.at)]


@pytest.fixture(scope="module")
def ask(prometheus_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    workdir = tmp_path_factory.mktemp("grafana")
    with ExitStack() as running:
        triton = running.enter_context(stack.triton(workdir, models=_models(workdir / "repository"), extra_flags=FLAGS))
        prometheus = running.enter_context(
            receiver(workdir, targets=[triton.metrics], scrape_interval="1s", folder=prometheus_folder)
        )
        bridge = running.enter_context(_bridge(running, workdir, prometheus))
        prometheus.aim([triton.metrics], "1s", bridge=bridge.url.removeprefix("http://"))
        live = {name: one for name, one in EXPRESSIONS.items() if name.rpartition(" ")[0] not in WRITTEN}

        def silent() -> list[str]:
            for model in ("ident", "cached"):
                traffic.send(triton.http, model, 5)
            return [name for name, one in live.items() if not _finite(prometheus.query(filled(one)))]

        stack.wait(lambda: not silent(), "a panel is empty", prometheus)
        at = time.time()
        write(prometheus, [one for metric in EXPOSED if _missing(prometheus, metric) for one in series(metric, at)])
        yield Asked(prometheus, at)


def _models(folder: Path) -> Path:
    """The examples, and one of them with a response cache."""
    for name, setting in {"ident": "", "cached": "response_cache { enable: true }\n"}.items():
        (folder / name / "1").mkdir(parents=True)
        config = (stack.MODELS / "ident" / "config.pbtxt").read_text(encoding="utf-8")
        (folder / name / "config.pbtxt").write_text(config + setting, encoding="utf-8")
        (folder / name / "1" / "model.py").write_bytes((stack.MODELS / "ident" / "1" / "model.py").read_bytes())
    return folder


def _bridge(running: ExitStack, workdir: Path, prometheus: stack.PrometheusServer) -> Daemon:
    sandbox = running.enter_context(Sandbox())
    return Daemon(
        workdir / "bridge.log",
        APPLICATIONINSIGHTS_CONNECTION_STRING=sandbox.connection_string,
        BRIDGE_PROMETHEUS_URL=prometheus.url,
        BRIDGE_METRICS_FILE=str(stack.ROOT / "config" / "presets" / "serving.json"),
        BRIDGE_INTERVAL="5s",
        BRIDGE_SETTLE_DELAY="2s",
    )


def _missing(prometheus: stack.PrometheusServer, metric: Exposed) -> bool:
    return not prometheus.query(f'{{__name__=~"{metric.name}(_bucket)?"}}')


def _finite(rows: list[tuple[dict[str, str], float]]) -> bool:
    return bool(rows) and all(math.isfinite(value) for _, value in rows)


@pytest.mark.live
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_gives_data(name: str, ask: Asked) -> None:
    values = ask(EXPRESSIONS[name])

    assert values != []
    assert all(math.isfinite(value) and value >= 0 for value in values)


@pytest.mark.live
def test_only_the_named_panels_stand_on_written_samples(ask: Asked) -> None:
    """Everything else comes from the Triton and the bridge that were scraped."""

    def instances(panel: dict[str, Any]) -> set[str]:
        metrics = {
            name for target in panel["targets"] for name, _ in re.findall(r"([\w:]+)\{([^}]*)\}", target["expr"])
        }
        rows = ask.prometheus.query(f'{{__name__=~"{"|".join(metrics)}"}}', time=ask.at)
        return {labels["instance"] for labels, _ in rows}

    assert {title for title, panel in PANELS.items() if "gpu:8002" in instances(panel)} == set(WRITTEN)


@pytest.mark.live
@pytest.mark.parametrize("name", ["instance", "model", "bridge"])
def test_every_variable_has_values(name: str, ask: Asked) -> None:
    selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", VARIABLES[name]["query"]).groups()  # type: ignore[union-attr]

    rows = ask.prometheus.query(filled(selector), time=ask.at)

    assert {labels[label] for labels, _ in rows if labels.get(label)} != set()


@pytest.mark.live
@pytest.mark.parametrize(
    ("panel", "expected"),
    [("Time to the first token", [0.3, 0.5, 0.5]), ("GPU utilization", [0.5]), ("GPU power", [0.1])],
)
def test_the_written_panels_show_what_was_written(panel: str, expected: list[float], ask: Asked) -> None:
    """Half of 60 observations lie below 0.3 s; half a joule in five seconds is a tenth of a watt."""
    found = [value for target in PANELS[panel]["targets"] for value in ask(target["expr"])]

    assert found == pytest.approx(expected)
