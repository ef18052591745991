"""The ready-made selections: each is a good file, and holds what its name says."""

import json
from pathlib import Path

import pytest
from prometheus_client import ProcessCollector

from bridge.catalog import catalog, document
from bridge.instruments import JOB, Instruments
from bridge.selection import Mode, load
from bridge.triton import EXPOSED, recorded

CONFIG = Path(__file__).parents[2] / "config"
PRESETS = sorted((CONFIG / "presets").glob("*.json"))
OWN = {
    sample.name: family.type
    for family in (*Instruments().collect(), *ProcessCollector(registry=None).collect())
    for sample in family.samples
}
"""The bridge's own metrics, by the names of their series: their types."""


def entries(name: str) -> list[object]:
    return json.loads((CONFIG / "presets" / f"{name}.json").read_text())["customMetrics"]


def test_there_are_six() -> None:
    assert [preset.stem for preset in PRESETS] == ["bridge", "everything", "gpu", "llm", "minimal", "serving"]


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.stem)
def test_a_preset_is_a_good_file_of_known_metrics_with_a_schema_beside_it(preset: Path) -> None:
    known = OWN if preset.stem == "bridge" else {metric.name for metric in (*EXPOSED, *recorded())}

    assert {entry.metric for entry in load(preset).entries} <= set(known)
    assert (preset.parent / json.loads(preset.read_text())["$schema"]).resolve() == CONFIG / "metrics.schema.json"


def test_minimal_is_what_is_shipped() -> None:
    assert entries("minimal") == json.loads((CONFIG / "metrics.json").read_text())["customMetrics"]


def test_everything_is_all_that_is_known_each_in_its_best_form() -> None:
    assert entries("everything") == document(catalog(None, None))["customMetrics"]


def test_no_counter_of_a_preset_is_sent_as_its_accumulation_but_the_source_documents() -> None:
    best = {line.name: line.entry for line in catalog(None, None)}
    plain = {
        (preset.stem, entry)
        for preset in PRESETS
        for entry in entries(preset.stem)
        if isinstance(entry, str) and entry in best and isinstance(best[entry], dict)
    }

    assert plain == {("minimal", "nv_inference_request_success"), ("minimal", "nv_inference_request_duration_us")}


def test_of_the_bridges_own_metrics_counters_are_sent_as_gains_and_gauges_as_they_are() -> None:
    """``stats`` too, of what may peak between two cycles."""
    fitting = {"counter": {Mode.INCREASE}, "gauge": {Mode.VALUE, Mode.STATS}}

    sent = {entry.metric or "": entry.mode for entry in load(CONFIG / "presets" / "bridge.json").entries}

    assert {name: mode for name, mode in sent.items() if mode not in fitting[OWN[name]]} == {}


def test_of_a_process_only_the_bridges_own_is_sent() -> None:
    """A vLLM server, or any other target, has metrics of these names too."""
    entries = load(CONFIG / "presets" / "bridge.json").entries

    found = {entry.match.text for entry in entries if str(entry.metric).startswith("process_")}

    assert found == {f'job="{JOB}"'}
