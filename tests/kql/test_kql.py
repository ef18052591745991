"""Every query that the project ships, by Microsoft's own parser: syntax, functions, columns, and what comes out of it."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest

from bridge.status import About
from examples.stack import ROOT
from tests.deploy.arm import Rendering
from tests.kql.parser import Analysis, analyse

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
# What Azure Workbooks put in the place of a parameter: of a choice, quoted values.
PARAMETERS = {
    "TimeRange:start": "datetime(2026-10-01T08:03:20.000Z)",
    "TimeRange:grain": "5m",
    "Role": "'triton','other'",
    "Instance": "'*'",
    "Model": "'ident'",
}
NAMES_WITH_QUOTES = ["it's", "C:\\", "a\\'b", '"']


def load(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "deploy" / "azure" / name).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def filled(query: str, **given: str) -> str:
    """A query of the workbook as it is asked; KeyError where it names a parameter that there is not."""
    return re.sub(r"\{([\w:]+)\}", lambda found: (PARAMETERS | given)[found[1]], query)


def chosen(choice: str, names: list[str]) -> str:
    """What stands in a query where these names are chosen: the values that the choice makes of them, between quotes."""
    (made,) = re.findall(r"value = (replace_string\(.*\)), label = name", choice)
    for old, new in re.findall(r', ("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\)', made):
        names = [name.replace(ast.literal_eval(old), ast.literal_eval(new)) for name in names]
    return ",".join(f"'{name}'" for name in names)


WORKBOOK = load("workbook.json")
CHARTS = {item["name"]: item["content"] for item in WORKBOOK["items"] if item["type"] == 3}
CHOICES = {
    parameter["name"]: parameter
    for item in WORKBOOK["items"]
    if item["type"] == 9
    for parameter in item["content"]["parameters"]
    if "query" in parameter
}
TEMPLATE = load("template.json")
DEPLOYED = Rendering(TEMPLATE, {"applicationInsightsId": "/c"}, {"id": "/g", "location": "westeurope"})
ALERTS = {
    resource["name"].partition("-")[2]: resource["properties"]["criteria"]["allOf"][0]
    for resource in DEPLOYED.value(TEMPLATE["resources"])
    if resource["type"] == "Microsoft.Insights/scheduledQueryRules"
}


def told(text: str) -> list[str]:
    """The queries of a document: its blocks of kusto, and those that stand in a line."""
    return [
        *re.findall(r"```kusto\n(.*?)```", text, re.DOTALL),
        *re.findall(r"`((?:customM|AppM)etrics\b[^`]*\|[^`]*)`", text),
    ]


SHIPPED = {
    "what the log and the status page say": About(role="triton").query,
    **{f"chart {name}": filled(content["query"]) for name, content in CHARTS.items()},
    **{f"choice {name}": filled(parameter["query"]) for name, parameter in CHOICES.items()},
    **{f"alert {name}": criterion["query"] for name, criterion in ALERTS.items()},
    **{
        f"{path.name} {number}": query
        for path in DOCUMENTS
        for number, query in enumerate(told(path.read_text(encoding="utf-8")), start=1)
    },
}


QUOTED = {
    f"{kind} {name}": filled(
        content["query"], **{one: chosen(CHOICES[one]["query"], NAMES_WITH_QUOTES) for one in CHOICES}
    )
    for kind, contents in (("chart", CHARTS), ("choice", CHOICES))
    for name, content in contents.items()
}
WRONG = {
    filled(CHARTS["requests"]["query"], Role="'it's'"): "line 8: Expected: , ",
    "customMetrics | where Name == 'x'": "line 1: The name 'Name' does not refer to any known column",
    "customMetrics\n| summarize sum(valueSums)": "line 2: The name 'valueSums' does not refer to any known column",
    "metrics | take 1": "line 1: The name 'metrics' does not refer to any known table",
    "customMetrics | extend a = median(valueSum)": "line 1: The name 'median' does not refer to any known function",
    "customMetrics | where name ==": "line 1: Missing expression",
    "customMetrics | where name == 'x' | summarise count()": "line 1: ",
}


@pytest.fixture(scope="module")
def analyses() -> dict[str, Analysis]:
    asked = SHIPPED | {query: query for query in (*WRONG, *QUOTED.values())}
    return dict(zip(asked, analyse(list(asked.values())), strict=True))


@pytest.mark.parametrize("name", SHIPPED)
def test_it_is_right_and_has_an_answer(name: str, analyses: dict[str, Analysis]) -> None:
    assert analyses[name].errors == []
    assert analyses[name].columns != {}


def test_the_documents_are_looked_through() -> None:
    assert {"README.md 1", "azure.md 1", "operations.md 1"} <= SHIPPED.keys()


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_over_time_has_a_time_and_numbers(name: str, analyses: dict[str, Analysis]) -> None:
    types = list(analyses[f"chart {name}"].columns.values())

    if CHARTS[name]["visualization"] == "table":
        assert len(types) > 1
    else:
        assert types.count("datetime") == 1
        assert {"real", "long"} & set(types)


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_is_a_value_and_what_is_read_of_it(name: str, analyses: dict[str, Analysis]) -> None:
    """Workbooks take the first two columns for them, in this order."""
    assert list(analyses[f"choice {name}"].columns.items()) == [("value", "string"), ("label", "string")]


@pytest.mark.parametrize("name", CHOICES)
def test_a_chosen_name_with_quotes_is_that_name(name: str) -> None:
    assert ast.literal_eval(f"[{chosen(CHOICES[name]['query'], NAMES_WITH_QUOTES)}]") == NAMES_WITH_QUOTES


@pytest.mark.parametrize("name", QUOTED)
def test_names_with_quotes_do_not_break_a_query(name: str, analyses: dict[str, Analysis]) -> None:
    assert analyses[QUOTED[name]].errors == []


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_measures_a_number_and_is_split_by_text(name: str, analyses: dict[str, Analysis]) -> None:
    columns = analyses[f"alert {name}"].columns
    measure = ALERTS[name].get("metricMeasureColumn")

    assert measure is None or columns[measure] in {"real", "long"}
    assert {columns.get(dimension["name"]) for dimension in ALERTS[name]["dimensions"]} == {"string"}


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_query_is_noticed(query: str, analyses: dict[str, Analysis]) -> None:
    assert [error for error in analyses[query].errors if error.startswith(WRONG[query])] != []
