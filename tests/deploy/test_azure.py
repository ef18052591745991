"""Workbook, alerts and the template that deploys them: of the published form, and about what is really sent.

Azure itself is not at hand, and neither are its schemas: those beside this file are our own, stricter ones.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge.instruments import Instruments
from bridge.selection import Selection, load, parse
from examples.stack import ROOT
from tests.deploy.arm import Rendering
from tools.azure.files import text
from tools.azure.template import template
from tools.azure.workbook import workbook

FOLDER = ROOT / "deploy" / "azure"
SCHEMAS = Path(__file__).parent / "schemas"
DOCUMENT = (ROOT / "docs" / "azure.md").read_text(encoding="utf-8")
GROUP = {"id": "/subscriptions/s/resourceGroups/g", "location": "westeurope"}
COMPONENT = f"{GROUP['id']}/providers/microsoft.insights/components/c"
ACTIONS = f"{GROUP['id']}/providers/microsoft.insights/actionGroups/a"
LONGEST_LITERAL = 131_072  # characters: Azure's limit for a template
LONGEST_EXPRESSION = 24_576

WORKBOOK = json.loads((FOLDER / "workbook.json").read_text(encoding="utf-8"))
TEMPLATE = json.loads((FOLDER / "template.json").read_text(encoding="utf-8"))


def schema(name: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def resources(**parameters: Any) -> list[dict[str, Any]]:
    return Rendering(TEMPLATE, {"applicationInsightsId": COMPONENT, **parameters}, GROUP).value(TEMPLATE["resources"])


def alerts(**parameters: Any) -> dict[str, dict[str, Any]]:
    """The properties of each alert by the end of its name."""
    found = resources(**parameters)
    return {one["name"].partition("-")[2]: one["properties"] for one in found if "criteria" in one["properties"]}


def queries() -> dict[str, str]:
    """The queries of charts and log alerts by name."""
    charts = {item["name"]: item["content"]["query"] for item in WORKBOOK["items"] if item["type"] == 3}
    logs = {name: one["criteria"]["allOf"][0].get("query") for name, one in alerts().items()}
    return charts | {f"alert {name}": query for name, query in logs.items() if query}


def sent() -> set[str]:
    """The names that reach Azure by the presets that the workbook names, and by what the document adds to them."""
    selections: list[Selection] = [
        load(ROOT / "config" / "presets" / f"{name}.json") for name in ("serving", "gpu", "llm")
    ]
    names = {entry.name for selection in selections for entry in selection.entries}
    quantiles = {
        name for selection in selections for entry in selection.entries for name in entry.quantile_names(entry.name)
    }
    return names | quantiles | set(re.findall(r'"metric": "(triton_bridge_\w+)"', DOCUMENT))


def test_what_is_checked_in_is_what_the_queries_give() -> None:
    """``python -m tools.azure`` writes both."""
    assert (FOLDER / "workbook.json").read_text(encoding="utf-8") == text(workbook())
    assert (FOLDER / "template.json").read_text(encoding="utf-8") == text(template())


def test_every_query_that_lies_there_is_shipped() -> None:
    files = {path.read_text(encoding="utf-8").strip() for path in (FOLDER / "queries").rglob("*.kql")}
    shipped = json.dumps([WORKBOOK, TEMPLATE["resources"]])

    assert [query for query in files if json.dumps(query)[1:-1] not in shipped] == []


def test_the_workbook_is_of_the_form_of_workbooks() -> None:
    jsonschema.validate(WORKBOOK, schema("workbook.json"))


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda book: book["items"][1].update(type=2), id="unknown type of item"),
        pytest.param(lambda book: book["items"][2]["content"].pop("version"), id="no version of content"),
        pytest.param(lambda book: book["items"][2]["content"].update(queryTyp=0), id="unknown field"),
        pytest.param(lambda book: book.pop("version"), id="no version"),
    ],
)
def test_a_broken_workbook_would_be_seen(break_it: Callable[[dict[str, Any]], object]) -> None:
    broken = copy.deepcopy(WORKBOOK)
    break_it(broken)

    assert jsonschema.Draft7Validator(schema("workbook.json")).is_valid(broken) is False


def test_items_and_parameters_have_names_of_their_own() -> None:
    names = [item["name"] for item in WORKBOOK["items"]]
    identities = [one["id"] for one in WORKBOOK["items"][0]["content"]["parameters"]]

    assert len(set(names)) == len(names)
    assert len(set(identities)) == len(identities)


def test_role_instance_model_and_time_can_be_chosen_and_every_chart_obeys() -> None:
    parameters = [one["name"] for one in WORKBOOK["items"][0]["content"]["parameters"]]
    charts = [item["content"] for item in WORKBOOK["items"] if item["type"] == 3]

    assert parameters == ["TimeRange", "Role", "Instance", "Model"]
    assert {chart["timeContextFromParameter"] for chart in charts} == {"TimeRange"}
    assert [
        chart["title"]
        for chart in charts
        if not all(f"'*' in ({{{name}}})" in chart["query"] for name in parameters[1:])
    ] == []


@pytest.mark.parametrize("name", queries())
def test_a_query_names_only_what_presets_and_document_select(name: str) -> None:
    quoted = re.findall(r'"([^"]*)"', queries()[name])
    whole = {text for text in quoted if re.fullmatch(r"(nv|vllm|triton_bridge)_\w+[^_]", text)}
    patterns = [text for text in quoted if text.startswith("^")]

    assert whole - sent() == set()
    assert [pattern for pattern in patterns if not any(re.match(pattern, one) for one in sent())] == []


def test_the_document_selects_own_metrics_that_there_are() -> None:
    (selection,) = [parse(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)]
    registry = Instruments().registry
    exposed = {sample.name for family in registry.collect() for sample in family.samples}

    assert {entry.metric for entry in selection.entries} <= exposed


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"actionGroupId": ACTIONS, "splitByModel": True, "roleNames": ["a", "b"], "silentEnds": ["cut off"]},
        {"silentRemembered": "PT1H", "name": "prod", "location": "northeurope", "loadRatio": 3},
    ],
    ids=["defaults", "notified", "other values"],
)
def test_what_the_template_makes_is_of_the_published_types(parameters: dict[str, Any]) -> None:
    jsonschema.validate(resources(**parameters), schema("resources.json"))


def test_every_parameter_and_variable_is_used_and_described() -> None:
    rendering = Rendering(TEMPLATE, {"applicationInsightsId": COMPONENT}, GROUP)
    rendering.value([TEMPLATE["resources"], TEMPLATE["outputs"]])
    rendering.value([one["name"] for one in TEMPLATE["resources"]])

    assert rendering.read == {(kind, name) for kind in ("parameters", "variables") for name in TEMPLATE[kind]}
    assert [name for name, one in TEMPLATE["parameters"].items() if not one["metadata"]["description"]] == []


def test_a_misspelt_parameter_would_be_seen() -> None:
    broken = json.loads(json.dumps(TEMPLATE).replace("parameters('queueMilliseconds')", "parameters('queueSeconds')"))

    with pytest.raises(KeyError, match="queueSeconds"):
        Rendering(broken, {"applicationInsightsId": COMPONENT}, GROUP).value(broken["resources"])


def test_no_text_of_the_template_is_too_long_for_azure() -> None:
    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for one in value.values() for text in texts(one)]
        return [text for one in value for text in texts(one)] if isinstance(value, list) else [str(value)]

    assert max(map(len, texts(TEMPLATE))) < LONGEST_LITERAL
    assert max(len(one) for one in texts(TEMPLATE) if one.startswith("[")) < LONGEST_EXPRESSION


def test_the_deployed_workbook_is_the_workbook_and_belongs_to_the_resource() -> None:
    (deployed,) = [one["properties"] for one in resources() if one["type"].endswith("/workbooks")]
    document = json.loads(deployed["serializedData"])

    assert document.pop("fallbackResourceIds") == [deployed["sourceId"]] == [COMPONENT]
    assert document == WORKBOOK


def test_a_second_deployment_changes_the_first_and_another_resource_has_a_workbook_of_its_own() -> None:
    names = [one["name"] for one in resources()]

    assert [one["name"] for one in resources()] == names
    assert len(set(names)) == len(names)
    assert {one["name"] for one in resources(applicationInsightsId=f"{COMPONENT}2")} - set(names) != set()


def test_there_is_an_alert_for_each_trouble() -> None:
    assert sorted(alerts()) == ["failures", "load", "lost", "pending", "queue", "silent"]


def test_nobody_is_notified_without_an_action_group() -> None:
    quiet, loud = alerts(), alerts(actionGroupId=ACTIONS)

    assert [one["actions"] for one in quiet.values()] == [{"actionGroups": []}] * 4 + [[]] * 2
    assert [one["actions"] for one in loud.values()] == [{"actionGroups": [ACTIONS]}] * 4 + [
        [{"actionGroupId": ACTIONS}]
    ] * 2


def test_silence_is_ten_minutes_within_the_time_that_the_rule_looks_back() -> None:
    silent = alerts()["silent"]

    assert "| where newest < ago(10m)" in silent["criteria"]["allOf"][0]["query"]
    assert silent["overrideQueryTimeRange"] == "P1D"
    assert [one["name"] for one in silent["criteria"]["allOf"][0]["dimensions"]][:2] == [
        "cloud_RoleName",
        "cloud_RoleInstance",
    ]


def test_the_ends_of_an_instance_are_those_that_the_query_tells_apart() -> None:
    silent = alerts()["silent"]["criteria"]["allOf"][0]

    assert re.findall(r'"([^"]+)", "([^"]+)"\)$', silent["query"]) == [tuple(silent["dimensions"][2]["values"])]


def test_metric_alerts_know_models_only_where_dimensions_are_kept() -> None:
    def dimensions(**parameters: Any) -> list[Any]:
        found = alerts(**parameters)
        return [found[name]["criteria"]["allOf"][0]["dimensions"] for name in ("load", "pending")]

    assert dimensions() == [[], []]
    assert dimensions(splitByModel=True) == [[{"name": "model", "operator": "Include", "values": ["*"]}]] * 2


def test_metric_alerts_are_on_what_the_preset_sends_as_a_value() -> None:
    serving = {entry.name: entry.mode.value for entry in load(ROOT / "config" / "presets" / "serving.json").entries}
    metrics = [one["criteria"]["allOf"][0]["metricName"] for one in alerts().values() if "metricName" in str(one)]

    assert [serving[metric] for metric in metrics] == ["value", "stats"]


def test_the_document_tells_of_every_parameter_and_its_default() -> None:
    rows = [line.split("|") for line in DOCUMENT.splitlines() if re.match(r"\| `[a-zA-Z]+` \|", line)]
    told = {row[1].strip(" `"): row[2].strip(" `") for row in rows}
    defaults = {
        name: str(one["defaultValue"]).lower() if isinstance(one["defaultValue"], bool) else str(one["defaultValue"])
        for name, one in TEMPLATE["parameters"].items()
        if isinstance(one.get("defaultValue"), int | str) and not str(one["defaultValue"]).startswith("[")
    }

    assert {name: default or "–" for name, default in defaults.items()}.items() <= told.items()
    assert told.keys() >= TEMPLATE["parameters"].keys()


def test_the_document_tells_of_every_alert() -> None:
    told = {
        name
        for line in DOCUMENT.splitlines()
        if re.search(r"\| (log|metric) \|", line)
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }

    assert told == alerts().keys()
