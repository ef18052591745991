"""Workbook, alerts and the template that deploys them: of the published form, and about what is really sent.

Azure itself is not at hand, and neither are its schemas: those beside this file are our own, stricter ones.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge.instruments import Instruments
from bridge.points import Outcome, Settlement
from bridge.selection import Mode, Selection, load, parse
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


def selections() -> list[Selection]:
    """The presets that the workbook names, and what the document adds to them."""
    (added,) = [parse(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)]
    return [added, *(load(ROOT / "config" / "presets" / f"{name}.json") for name in ("serving", "gpu", "llm"))]


def sent() -> set[str]:
    """The names that reach Azure by these."""
    entries = [entry for selection in selections() for entry in selection.entries]
    return {entry.name for entry in entries} | {name for entry in entries for name in entry.quantile_names(entry.name)}


def counters() -> set[str]:
    """Those that are sent as what was counted in an interval."""
    return {entry.name for one in selections() for entry in one.entries if entry.mode is Mode.INCREASE}


def named(query: str) -> set[str]:
    """The metrics whose whole names stand in a query."""
    return set(re.findall(r'"((?:nv|vllm|triton_bridge)_\w+[^_])"', query))


def own_part(query: str) -> str:
    """What a chart asks of the rows that are chosen."""
    return query.rpartition(";\n")[2]


def test_what_is_checked_in_is_what_the_queries_give() -> None:
    """``python -m tools.azure`` writes both."""
    assert (FOLDER / "workbook.json").read_text(encoding="utf-8") == text(workbook())
    assert (FOLDER / "template.json").read_text(encoding="utf-8") == text(template())


def test_every_query_that_lies_there_is_shipped() -> None:
    files = {path.read_text(encoding="utf-8").strip() for path in (FOLDER / "queries").rglob("*.kql")}
    shipped = json.dumps([WORKBOOK, TEMPLATE["resources"], TEMPLATE["variables"]])

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
    patterns = re.findall(r'"(\^[^"]*)"', queries()[name])

    assert named(queries()[name]) - sent() == set()
    assert [pattern for pattern in patterns if not any(re.match(pattern, one) for one in sent())] == []


def test_charts_of_counters_stand_under_a_word_on_accumulations() -> None:
    """No row tells whether it is an increase or an accumulation."""
    warned = charted = ""
    wrong = []
    for item in WORKBOOK["items"]:
        if item["type"] == 1:
            warned = item["content"]["json"]
        elif item["type"] == 3 and named(own_part(item["content"]["query"])) & counters():
            charted += item["name"]
            wrong += [] if "mode `increase`" in warned and "accumulation" in warned else [item["name"]]

    assert charted
    assert wrong == []


@pytest.mark.parametrize("name", [name for name, query in queries().items() if "alert" in name and named(query)])
def test_an_alert_on_counters_says_what_it_needs(name: str) -> None:
    description = alerts()[name.removeprefix("alert ")]["description"]

    assert named(queries()[name]) <= counters()
    assert [one for one in named(queries()[name]) if one not in description] == []
    assert "with mode increase" in description


RATIOS = [
    item["name"]
    for item in WORKBOOK["items"]
    if item["type"] == 3 and "names == " in own_part(item["content"]["query"])
]


def test_what_divides_one_metric_by_another_is_known() -> None:
    """Any other division is of one name: a mean, or a rate."""
    dividing = {
        item["name"]
        for item in WORKBOOK["items"]
        if item["type"] == 3
        and len(named(query := own_part(item["content"]["query"]))) > 1
        and not query.startswith("whole\n")
        and re.search(r" / \w", query)
    }

    assert sorted(RATIOS) == sorted(dividing)


@pytest.mark.parametrize("name", RATIOS)
def test_a_ratio_is_of_all_its_metrics_and_names_them_where_one_is_missing(name: str) -> None:
    (content,) = [item["content"] for item in WORKBOOK["items"] if item["name"] == name]
    needed = named(own_part(content["query"]))
    told = re.findall(r"nv_[\w*]+", content["noDataMessage"])

    assert "names = count_distinct(name) by bin(timestamp, grain)" in content["query"]
    assert f"\n| where names == {len(needed)} and " in content["query"]
    assert [one for one in needed if not any(fnmatchcase(one, pattern) for pattern in told)] == []


@pytest.mark.parametrize(
    "item", [item for item in WORKBOOK["items"] if item["type"] == 3], ids=lambda item: item["name"]
)
def test_what_is_divided_by_the_grain_is_of_whole_bins(item: dict[str, Any]) -> None:
    """A bin that the time range cuts, or of which rows are to come yet, would seem a fall."""
    query = item["content"]["query"]
    own = own_part(query)

    assert own.startswith("whole\n") == ("(grain / 1s)" in own) == ("a second" in item["content"]["title"])
    assert re.findall(r".*\{TimeRange:grain\}.*", query) == ["let grain = max_of({TimeRange:grain}, 1m);"]


def test_whole_bins_lie_between_the_start_of_the_time_and_the_newest_row() -> None:
    (whole,) = {
        found
        for item in WORKBOOK["items"]
        if item["type"] == 3
        for found in re.findall(r"let whole = ([^;]*)", item["content"]["query"])
    }

    assert "timestamp > bin({TimeRange:start} + grain - 1tick, grain) and timestamp <= bin(newest, grain)" in whole
    assert whole.endswith("| extend timestamp = bin(timestamp - 1tick, grain)")


def test_rows_of_other_applications_are_left_out() -> None:
    asked = [item["content"]["query"] for item in WORKBOOK["items"] if item["type"] == 3]
    asked += [one["query"] for one in WORKBOOK["items"][0]["content"]["parameters"] if "query" in one]
    by_name = re.compile(r"customMetrics\n\| where name startswith [^;]*\| distinct cloud_RoleName;")

    assert [query for query in asked if len(by_name.findall(query)) != 1] == []
    assert [
        query
        for query in asked
        if re.search(r"customMetrics(?!\n\| where cloud_RoleName in \(ours\)\n)", by_name.sub("", query))
    ] == []


def test_the_document_selects_own_metrics_that_there_are() -> None:
    selection = selections()[0]
    registry = Instruments().registry
    exposed = {sample.name for family in registry.collect() for sample in family.samples}

    assert {entry.metric for entry in selection.entries} <= exposed


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"actionGroupId": ACTIONS, "splitByModel": True, "roleNames": ["a", "b"], "silentEnds": ["cut off"]},
        {
            "silentRemembered": "PT3H",
            "silentMinutes": 125,
            "failureRequests": 1,
            "name": "prod",
            "location": "northeurope",
            "loadRatio": 3,
        },
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


@pytest.mark.parametrize(
    ("alert", "parameter", "asked"),
    [
        ("silent", "silentMinutes", "| where newest < ago({}m)"),
        ("failures", "failureRequests", "| where successes > 0 and counted >= {}"),
    ],
)
def test_a_number_in_a_query_is_a_parameter(alert: str, parameter: str, asked: str) -> None:
    default = TEMPLATE["parameters"][parameter]["defaultValue"]

    def query(**parameters: int) -> list[str]:
        return alerts(**parameters)[alert]["criteria"]["allOf"][0]["query"].splitlines()  # type: ignore[no-any-return]

    assert asked.format(default) in query()
    assert asked.format(47) in query(**{parameter: 47})


@pytest.mark.parametrize("minutes", [4, 151])
def test_no_silence_that_the_alert_could_not_see(minutes: int) -> None:
    with pytest.raises(ValueError, match="silentMinutes"):
        alerts(silentMinutes=minutes)


def test_a_silent_instance_is_remembered_for_longer_than_its_silence_must_last() -> None:
    longest = TEMPLATE["parameters"]["silentMinutes"]["maxValue"]
    remembered = TEMPLATE["parameters"]["silentRemembered"]

    assert alerts()["silent"]["overrideQueryTimeRange"] == "P1D"
    assert longest >= 2 * 60 + 5  # BRIDGE_INTERVAL may be an hour
    assert [text for text in remembered["allowedValues"] if hours(text) * 60 < longest + 30] == []


def hours(duration: str) -> int:
    found = re.fullmatch(r"P(?:(\d)D|T(\d)H)", duration)
    assert found
    return int(found[1] or 0) * 24 + int(found[2] or 0)


def test_silence_is_that_of_an_instance() -> None:
    silent = alerts()["silent"]["criteria"]["allOf"][0]

    assert [one["name"] for one in silent["dimensions"]] == ["cloud_RoleName", "cloud_RoleInstance", "end"]


@pytest.mark.parametrize("name", [name for name in queries() if "alert" in name])
def test_no_alert_rounds_a_time(name: str) -> None:
    """The alert service puts bin_at() with an origin of its own in the place of bin()."""
    assert "bin(" not in queries()[name]


def test_everything_that_will_not_arrive_is_an_alert() -> None:
    lost = alerts()["lost"]["criteria"]["allOf"][0]
    gone = {Outcome.REJECTED.value, Outcome.EXPIRED.value, Outcome.LEFT_OUT.value, Settlement.EXPIRED.value}
    names, outcomes = re.findall(r"\| where \w+ in \(([^)]*)\)", lost["query"])

    assert named(names) == {"triton_bridge_points_total", "triton_bridge_cycles_total"}
    assert set(re.findall(r'"(\w+)"', outcomes)) == gone
    assert [one["name"] for one in lost["dimensions"]][2:] == ["what", "outcome"]


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


def test_document_and_template_name_the_switch_of_the_portal_by_both_its_names() -> None:
    texts = [DOCUMENT.replace("\n", " "), TEMPLATE["parameters"]["splitByModel"]["metadata"]["description"]]

    assert [
        name
        for text in texts
        for name in (
            "Send custom metrics to Azure Metric Store",
            "With dimensions",
            "Enable alerting on custom metric dim",
        )
        if name not in text
    ] == []


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
